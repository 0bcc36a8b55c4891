"""PA&DA: draws of operations and of images in proportion to their gradients' norms."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from callbacks.importance_sampling import ImportanceSampling, chances
from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.plan import PlanError
from nas_lightning.training.module import SuperNetModule
from tests.helpers.interrupted import assert_goes_on_with_the_same_bits
from tests.helpers.small_plans import data_for, small_plan, trained

PLAN = small_plan("nasbench201", protocol__sampling="random_nas")


def test_the_values_of_a_gene_are_weighed_by_mean_norms():
    genomes = np.array([[0, 1], [0, 1], [1, 1], [1, 0]])
    first, second = chances(genomes, np.array([1.0, 3.0, 4.0, 8.0]), (2, 3), 0.5)
    np.testing.assert_allclose(first, [0.5 * 2 / 8 + 0.25, 0.5 * 6 / 8 + 0.25])
    # Value 2 was never drawn: it keeps the mean of the others, 16 / 3.
    np.testing.assert_allclose(second, 0.5 * np.array([8, 8 / 3, 16 / 3]) / 16 + 0.5 / 3)
    uniform = chances(genomes, np.array([1.0, 3.0, 4.0, 8.0]), (2, 3), 0.0)
    np.testing.assert_allclose(np.concatenate(uniform), [1 / 2] * 2 + [1 / 3] * 3)
    np.testing.assert_allclose(chances(genomes, np.zeros(4), (2, 3), 1.0)[0], [0.5, 0.5])


def test_an_epoch_measures_what_the_next_one_draws_by():
    class Recorded(ImportanceSampling):
        def on_train_epoch_end(self, trainer, pl_module):
            super().on_train_epoch_end(trainer, pl_module)
            epochs.append((self._images.clone(), self._drawn.clone(), [p.copy() for p in self._genes]))

    epochs: list = []
    trained("nasbench201", PLAN, Recorded(paths=True, data=True), steps=None)
    assert len(epochs) == 4
    for epoch, (errors, drawn, genes) in enumerate(epochs, start=1):
        share, known = epoch / 4, errors.where(errors >= 0, errors[errors >= 0].mean())
        torch.testing.assert_close(drawn, share * known / known.sum() + (1 - share) / len(known))
        assert [len(p) for p in genes] == [5] * 6
        assert all(p.sum() == pytest.approx(1) and p.min() >= (1 - share) / 5 for p in genes)
    assert (epochs[0][0] < 0).any(), "the remainder of the first epoch's permutation is not seen"
    assert drawn.max() > 1.2 * drawn.min()


def test_norms_are_those_of_the_step_and_errors_those_of_the_images():
    class Unfinished(ImportanceSampling):
        def on_train_epoch_end(self, trainer, pl_module):
            """What the epoch has seen is kept."""

    heuristic = Unfinished(paths=True, data=True)
    plan = PLAN.edited({"protocol.gradient_clip": 0.5})
    trained("nasbench201", plan, heuristic, steps=2)
    by_hand, data = SuperNetModule("nasbench201", plan, 10, 1, 0), data_for(plan).loader()
    arch = heuristic._seen[0][0]
    images, labels = data.batch(0)
    logits = by_hand.network(images, arch)
    F.cross_entropy(logits, labels).backward()
    norm = torch.cat([p.grad.flatten() for p in by_hand.network.parameters() if p.grad is not None]).norm()
    assert heuristic._seen[0][1] == pytest.approx(min(0.5, float(norm)), rel=1e-4)
    errors = (logits.softmax(1) - F.one_hot(labels, 10)).norm(dim=1).double()
    torch.testing.assert_close(heuristic._images[data.indices(0)], errors, rtol=1e-4, atol=1e-6)
    assert (heuristic._images < 0).sum() == len(data.data) - 2 * plan.protocol.batch_size


def test_paths_follow_the_probabilities_of_their_genes():
    heuristic, module = ImportanceSampling(paths=True), SuperNetModule("nasbench201", PLAN, 10, 1, 0)
    heuristic._genes = [np.array([0.0, 0.1, 0.2, 0.3, 0.4])] * 6
    genes = np.stack([module.sampler.space.encode(heuristic.path(module, s).architectures[0]) for s in range(2000)])
    np.testing.assert_allclose(np.bincount(genes.ravel(), minlength=5) / genes.size, heuristic._genes[0], atol=0.01)
    assert heuristic.path(module, 3) == heuristic.path(module, 3)


def test_only_admissible_encodings_are_drawn():
    plan = small_plan("nasbench101", protocol__sampling="random_nas")
    heuristic, module = ImportanceSampling(paths=True), SuperNetModule("nasbench101", plan, 10, 1, 0)
    drawn = [heuristic.path(module, step).architectures[0] for step in range(30)]
    assert all(module.sampler.admits(arch) for arch in drawn)
    assert len(set(map(str, drawn))) > 20


def test_images_are_drawn_again_by_their_errors():
    seen = []

    class Watched(ImportanceSampling):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(trainer.train_dataloader.indices(trainer.global_step))

    plan = small_plan("nasbench201", protocol__epochs=3)
    trained("nasbench201", plan, Watched(data=True), steps=None)
    first, second, third = (torch.cat(seen[i : i + len(seen) // 3]) for i in range(0, len(seen), len(seen) // 3))
    assert len(first.unique()) == len(first), "the first epoch is a permutation"
    assert len(second.unique()) < 0.8 * len(second), "later ones are drawn with replacement"
    assert (second != third).float().mean() > 0.9, "each by a key of its own"


@pytest.mark.parametrize("part", ["paths", "data"])
def test_it_goes_on_in_mid_epoch_with_the_same_bits(part, tmp_path):
    other = "data" if part == "paths" else "paths"
    assert_goes_on_with_the_same_bits(
        tmp_path, SuperNetModule, "training_step",
        lambda self, *_: self.global_step == len(self.trainer.train_dataloader) + 2,
        "extra=importance_sampling", f"heuristics.importance_sampling.{other}=null", "heuristics/sampling=random_nas",
        "plan.protocol.epochs=3", "plan.protocol.train_portion=0.3", "benchmark=none",
        "trainer.checkpoint_every_steps=1", "evaluation.architectures=random2_seed0",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"protocol.sampling": "random_a"}, "choose heuristics/sampling=random_nas"),
        ({"protocol.paths_per_step": 2}, "one path a step"),
        ({"protocol.tournament": 2}, "no tournament"),
        ({"protocol.distribution": "gdas", "protocol.selection_portion": 0.5}, "distribution=gdas exclude each other"),
    ],
)
def test_what_does_not_go_together_is_refused(edits, message):
    with pytest.raises(PlanError, match=message):
        fold(PLAN.edited(edits), "nasbench201", [ImportanceSampling(paths=True)])


def test_nothing_to_draw_and_texts_are_refused():
    with pytest.raises(PlanError, match="neither paths nor data does nothing"):
        ImportanceSampling(paths=False, data=False)
    with pytest.raises(NotApplicableError, match="it draws images, and these networks read tokens"):
        fold(PLAN, "rnn_ptb", [ImportanceSampling(data=True)])


def test_two_ranks_know_the_errors_of_the_whole_batch():
    loader, logits = data_for(PLAN).loader(), torch.randn(32, 10, generator=torch.Generator().manual_seed(0))
    labels = loader.data.labels[loader.indices(0)]
    found = []
    for ranks in (1, 2):
        heuristic, observers = ImportanceSampling(data=True), []
        shards = [slice(rank, None, ranks) for rank in range(ranks)]
        errors = (logits.softmax(1) - F.one_hot(labels, 10)).norm(dim=1).double()

        def gather(own, errors=errors, shards=shards):
            torch.testing.assert_close(own, errors[shards[0]])
            return torch.stack([errors[shard] for shard in shards])

        module = SimpleNamespace(
            task=type(data_for(PLAN)), device="cpu", seed=0, observers=observers, all_gather=gather
        )
        heuristic.on_train_start(SimpleNamespace(train_dataloader=loader, world_size=ranks), module)
        observers[0](logits[shards[0]], labels[shards[0]], 0)
        found.append(heuristic._images)
    assert torch.equal(*found)
    assert (found[0] >= 0).sum() == 32
