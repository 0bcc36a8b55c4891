"""Language modelling as a task: perplexity, texts from files, the embedded one, and what is refused."""

import math
from dataclasses import asdict

import pytest
import torch

from nas_lightning.data.find import make_task
from nas_lightning.data.images import DataError
from nas_lightning.data.text.corpora import PennTreebank, WikiText2
from nas_lightning.data.text.files import TextFiles
from nas_lightning.data.text.task import PERPLEXITY, TextTask
from nas_lightning.data.text.topics import PythonTopics, topics_text
from nas_lightning.data.text.vocabulary import units_of, vocabulary_of
from nas_lightning.errors import UserError
from nas_lightning.plan import PlanError
from nas_lightning.scoring.choice import Choice
from nas_lightning.scoring.trained import refuse_other_images
from tests.helpers.commands import composed

TARGET = "nas_lightning.data.text.topics.PythonTopics"


def test_a_uniform_predictors_perplexity_is_the_size_of_the_vocabulary():
    words = 37
    targets = torch.randint(0, words, (4, 9))
    sums = TextTask.sums(torch.full((4, words, 9), 2.5), targets)
    assert PERPLEXITY.show(float(sums[0]) / TextTask.count_items(targets)) == pytest.approx(words)
    assert PERPLEXITY.label == "perplexity"
    assert not PERPLEXITY.shown_higher_is_better
    assert math.exp(TextTask.guess_loss(words)) == pytest.approx(words)


def test_loss_is_the_mean_over_tokens():
    outputs, targets = torch.randn(3, 7, 5), torch.randint(0, 7, (3, 5))
    expected = -outputs.log_softmax(1).gather(1, targets[:, None]).mean()
    torch.testing.assert_close(TextTask.loss(outputs, targets), expected)
    torch.testing.assert_close(TextTask.sums(outputs, targets)[0].float() / 15, -expected)
    soft = outputs.softmax(1)
    entropy = -(soft * soft.log()).sum(1).mean()
    torch.testing.assert_close(TextTask.loss(outputs, TextTask.teach(outputs)), entropy)


def test_one_score_and_it_is_no_accuracy():
    assert [p.name for p in Choice.of(task=PythonTopics, baselines=()).scores] == ["negative_log_perplexity"]


def test_predictors_of_images_are_refused():
    with pytest.raises(UserError, match="naswot looks at images, and the networks of this task read tokens"):
        Choice.of(predictors=["naswot"], task=PythonTopics, baselines=())


def test_a_super_net_is_scored_on_the_text_that_it_was_trained_on(tmp_path):
    trained = {"name": "topics", "_target_": TARGET, "settings": {"vocabulary": 500}}
    with pytest.raises(UserError, match=r"was trained with data\.vocabulary=500, not 1000"):
        refuse_other_images(tmp_path, trained, {**trained, "settings": {"vocabulary": 1000}})
    with pytest.raises(UserError, match="was trained with data=topics, not text"):
        refuse_other_images(tmp_path, trained, {**trained, "name": "text"})
    refuse_other_images(tmp_path, trained, dict(trained))


def test_the_embedded_text_is_the_frozen_one():
    assert len(topics_text().split()) == 65_501  # of Python 3.11.7
    task = PythonTopics()
    assert task.num_outputs == 500
    assert task.record() == {
        "dataset": "topics",
        "train_tokens": 101_697,
        "validation_tokens": 12_094,
        "test_tokens": 11_768,
        "vocabulary": 500,
        "chunk": 35,
        "short_chunks": 0.05,
        "content_sha256": "50aee392590306d6e8053484df710a702e4fd3f0e43709b3d38164532c0df17a",
    }


def test_a_portion_trains_from_the_start_and_leaves_the_validation_text():
    task = PythonTopics()
    validation, whole = task.size("validation"), task.texts.train
    task.train_portion = 0.5
    assert task.size("train") == len(whole) // 2
    assert (task.loader().text.flatten() == whole[: task.loader().text.numel()]).all()
    assert task.size("validation") == validation


def test_units_of_a_text():
    text = "Tea, don't!\nOK\n"
    assert units_of(text, "words") == ["tea", ",", "don", "'", "t", "!", "<eos>", "ok", "<eos>"]
    assert units_of(text, "tokens") == ["Tea,", "don't!", "<eos>", "OK", "<eos>"]
    assert "".join(units_of(text, "characters")) == text
    assert vocabulary_of([list("aabbbc"), list("d")], 3) == {"<unk>": 0, "b": 1, "a": 2}
    assert vocabulary_of([list("ab"), list("d")]) == {"a": 0, "b": 1, "d": 2}


def test_ones_own_text_by_characters(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("abcab" * 20)
    task = TextFiles(path=str(path), unit="characters")
    assert [task.size(s) for s in ("train", "validation", "test")] == [80, 10, 10]
    assert task.num_outputs == 3
    inputs, targets = task.evaluation_batches(2)[0]
    assert inputs.shape == targets.shape == (2, 4)
    assert task.rate_factor(inputs) == 4 / 35
    same = TextFiles(path=str(path), validation=str(path), test=str(path), unit="characters")
    assert same.size("train") == same.size("test") == 100


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        (None, {}, "cannot be read"),
        (b" \n", {}, "holds no text"),
        (b"\xff\xfe", {}, "no UTF-8"),
        (b"a b c", {"unit": "letters"}, "choose one of words, tokens, characters"),
        (b"a b c", {"validation": "x"}, "go together"),
        (b"a b c", {"vocabulary": 1}, "nothing to predict"),
        (b"a b c", {"chunk": 0}, "out of range"),
        (b"a b c", {"short_chunks": 1.0}, "out of range"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, settings, said):
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        TextFiles(path=str(path), **settings).setup()


def test_official_texts_are_asked_for_and_checked(tmp_path):
    with pytest.raises(DataError, match=r"ptb\.train\.txt in .*nothing is downloaded"):
        PennTreebank(str(tmp_path)).setup()
    (tmp_path / "ptb").mkdir()
    (tmp_path / "ptb" / "ptb.train.txt").write_text("no it was")
    with pytest.raises(DataError, match=r"\(9 bytes\) is not the official training text"):
        PennTreebank(str(tmp_path)).setup()
    (tmp_path / "train.txt").write_text("no it was\n")
    with pytest.raises(DataError, match=r"has 4 tokens, and the training text of data=wikitext2 2088628"):
        WikiText2(str(tmp_path)).setup()


def test_a_setting_that_no_text_reads_is_refused():
    section = {"name": "topics", "_target_": TARGET, "image_size": 8}
    with pytest.raises(DataError, match=r"does not read data\.image_size"):
        make_task(section, 4, 1.0, 0)


def test_space_and_data_that_do_not_go_together_are_refused_both_ways():
    from nas_lightning.modes.job import compose

    with pytest.raises(PlanError, match=r"rnn_ptb reads tokens, and data=digits gives images: say data=.*text.*topics"):
        compose(composed("space=rnn_ptb", "data=digits"))
    with pytest.raises(
        PlanError, match=r"nasbench201 reads images, and data=topics gives tokens: .*space=nasbench_nlp or rnn_ptb"
    ):
        compose(composed("data=topics"))


def test_the_spaces_own_text_is_chosen_by_default():
    from nas_lightning.modes.job import compose

    job = compose(composed("space=rnn_ptb"))
    assert asdict(job.config.data)["name"] == "topics"
    assert job.plan.mapping.channels == 32
    assert job.config.evaluation.score == "negative_log_perplexity"
    assert compose(composed("space=rnn_ptb", "data.chunk=20")).hash != job.hash
