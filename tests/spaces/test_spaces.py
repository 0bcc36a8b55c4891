"""What all spaces promise."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from nas_lightning.spaces import SPACES, ArchitectureError, get_space


@pytest.fixture(params=SPACES)
def space(request):
    return get_space(request.param)


def test_unknown_space_lists_the_names():
    with pytest.raises(ValueError, match="did you mean nasbench101 or nasbench201"):
        get_space("nasbench102")


def test_darts_is_short_for_darts_nds():
    assert get_space("darts").name == "darts_nds"


def test_strings_and_genomes_read_back(space):
    rng = np.random.default_rng(0)
    for _ in range(50):
        arch = space.sample(rng)
        assert space.parse(str(arch)) == arch
        assert space.parse(f"  {space.format(arch)}\n") == arch
        assert space.decode(space.encode(arch)) == arch
        assert pickle.loads(pickle.dumps(arch)) == arch
        assert hash(space.parse(str(arch))) == hash(arch)


def test_genomes_lie_below_their_cardinalities(space):
    rng = np.random.default_rng(1)
    genomes = np.array([space.encode(space.sample(rng)) for _ in range(300)])
    assert genomes.dtype == np.int64
    assert (genomes >= 0).all()
    highest = np.array(space.cardinalities) - 1
    assert (genomes <= highest).all()
    if space.name != "nasbench_nlp":  # whose last places only the largest recipes fill
        assert (genomes.max(0) == highest).all()


def test_one_hot_sets_one_entry_a_gene(space):
    arch = space.sample(np.random.default_rng(2))
    hot = space.one_hot(arch)
    assert hot.dtype == np.float32
    assert hot.shape == (sum(space.cardinalities),)
    blocks = np.split(hot, np.cumsum(space.cardinalities)[:-1])
    assert [int(block.argmax()) for block in blocks] == space.encode(arch).tolist()
    assert all(block.sum() == 1 for block in blocks)


def test_canonical_is_idempotent_and_keeps_the_key(space):
    rng = np.random.default_rng(3)
    for _ in range(50):
        arch = space.sample(rng)
        canonical = space.canonical(arch)
        assert space.canonical(canonical) == canonical
        assert space.key(canonical) == space.key(arch)


def test_keys_tell_classes_apart_as_canonical_forms_do(space):
    rng = np.random.default_rng(4)
    archs = [space.sample(rng) for _ in range(400)]
    assert len({space.key(arch) for arch in archs}) == len({space.canonical(arch) for arch in archs})


def test_sampling_repeats_with_the_seed(space):
    for draw in (space.sample, space.sample_unique):
        first = [draw(rng) for rng in [np.random.default_rng(5)] for _ in range(20)]
        second = [draw(rng) for rng in [np.random.default_rng(5)] for _ in range(20)]
        assert first == second
        assert len(set(first)) > 15


def test_unique_samples_are_canonical(space):
    rng = np.random.default_rng(6)
    assert all(space.canonical(arch) == arch for arch in (space.sample_unique(rng) for _ in range(50)))


def test_mutants_are_neighbours_and_never_the_parent(space):
    rng = np.random.default_rng(7)
    for _ in range(10):
        arch = space.sample_unique(rng)
        neighbours = space.neighbours(arch)
        assert arch not in neighbours
        assert len(set(neighbours)) == len(neighbours)
        for _ in range(10):
            assert space.mutate(arch, rng) in neighbours


def test_mutation_reaches_every_neighbour(space):
    rng = np.random.default_rng(8)
    arch = space.sample_unique(rng)
    neighbours = set(space.neighbours(arch))
    seen = set()
    for _ in range(60 * len(neighbours)):
        seen.add(space.mutate(arch, rng))
        if seen >= neighbours:
            break
    assert seen == neighbours


@pytest.mark.parametrize("text", ["", "x", "|none~0|", "[[", "Genotype()", "1" * 49, "0100:input,conv,output"])
def test_malformed_text_is_refused_in_a_sentence(space, text):
    with pytest.raises(ArchitectureError) as error:
        space.parse(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) > 20


def test_wrong_genomes_are_refused(space):
    genome = space.encode(space.sample(np.random.default_rng(9)))
    for wrong in (genome[:-1], np.append(genome, 0), np.where(np.arange(len(genome)) == len(genome) - 1, 99, genome)):
        with pytest.raises(ArchitectureError):
            space.decode(wrong)


def test_spaces_need_no_torch():
    code = (
        "import sys, nas_lightning.spaces, nas_lightning.spaces.categorical\n"
        "heavy = {'torch', 'pytorch_lightning', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_members_are_the_whole_class_once(space):
    rng = np.random.default_rng(10)
    for _ in range(20):
        arch = space.sample(rng)
        members = space.members(arch)
        assert len(set(members)) == len(members)
        assert space.canonical(arch) in members
        assert {space.key(member) for member in members} == {space.key(arch)}
        assert space.members(space.canonical(arch)) == members
