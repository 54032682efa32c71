"""Corpora: files are streamed in several forms, and a file that cannot be read says where and why."""

import gzip
import json
import re
import zipfile

import pytest
from django.utils import translation

from core.errors import PalateError
from tests.factories import PromptFactory, StudyFactory, TaskFactory
from training.demo import cases
from training.jobs.corpora import Corpus, check_corpus, suggested
from training.runs.operations import create_run


def read(named, study=None):
    return [(d.prompt, d.text) for d in Corpus(study, str(named), 100, 0)]


def test_plain_text_json_lines_gzip_and_zip(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n\n\nthree\n")
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write(json.dumps({"prompt": "p", "response": "r"}) + "\n\n" + json.dumps({"text": "t"}))
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("x/2.txt", "second")
        archive.writestr("x/1.txt", "first")
        archive.writestr("x/readme.md", "no")
    assert read(tmp_path / "a.txt") == [("", "one\ntwo"), ("", "three")]
    assert read(tmp_path / "b.jsonl.gz") == [("p", "r"), ("", "t")]
    assert read(f"{tmp_path / 'c.zip'}, {tmp_path / 'a.txt'}")[:3] == [("", "first"), ("", "second"), ("", "one\ntwo")]


def test_csv_of_the_article_of_ratings_and_of_responses(tmp_path):
    (tmp_path / "data.csv").write_text('train,test\n"one, two",held out\nthree,\n,held out too\n')
    (tmp_path / "preferences.csv").write_text("text,rating\ngood,1\nbad,0\n")
    (tmp_path / "pairs.csv").write_text("prompt,response\np,r\n,alone\n")
    assert read(tmp_path / "data.csv") == [("", "one, two"), ("", "three")]
    assert read(tmp_path / "preferences.csv") == [("", "good"), ("", "bad")]
    assert read(tmp_path / "pairs.csv") == [("p", "r"), ("", "alone")]


def test_a_corpus_can_be_read_again(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    corpus = Corpus(None, str(tmp_path / "a.txt"), 1, 0)
    assert list(corpus) == list(corpus)


def test_the_demo_in_chinese_has_texts_of_every_case():
    texts = read("demo-zh")
    assert len(texts) == 100
    assert all(re.search("[\u4e00-\u9fff]", text) for _prompt, text in texts)
    asked = [dict.fromkeys(prompt for prompt, _text in cases.documents(f"{key}-zh", 20)) for key in cases.CHINESE]
    assert all(texts[place][0] in own for place, own in enumerate(asked))
    assert read("demo-zh") == texts != [(d.prompt, d.text) for d in Corpus(None, "demo-zh", 100, 1)]


@pytest.mark.django_db
@pytest.mark.parametrize(("language", "offered"), [("en", "demo"), ("zh-hans", "demo-zh")])
def test_a_page_offers_the_texts_of_the_studys_demo_or_else_those_of_its_language(language, offered):
    study, other = StudyFactory(), StudyFactory()
    with translation.override(language):
        assert suggested(study) == offered
        create_run(kind="make_demo", study=other, values={"template": "service", "language": "zh"})
        assert (suggested(other), suggested(study)) == ("demo:service-zh", offered)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.txt", b"\n\n", "holds no text"),
        ("a.jsonl", b'{"prompt": "x"}', "line 1: expected"),
        ("a.jsonl", b"[1]", "line 1: expected"),
        ("a.zip", b"PK", "zip"),
        ("a.csv", b"prompt,answer\na,b\n", "unknown column 'answer'"),
        ("a.csv", b'text\n""\n \n', "line 3, field text: is blank"),
        ("a.txt.gz", b"no", "gzip"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PalateError, match=words):
        read(tmp_path / name)


@pytest.mark.django_db
def test_a_studys_responses_to_training_prompts():
    study = StudyFactory()
    for split in ("train", "test"):
        TaskFactory(study=study, prompt=PromptFactory(study=study, split=split, text=f"{split}?"))
    assert {prompt for prompt, _ in read("study", study)} == {"train?"}
    with pytest.raises(PalateError, match="no responses"):
        check_corpus(StudyFactory(), "study")
    with pytest.raises(PalateError, match="no such file"):
        check_corpus(None, "nowhere.txt")
    with pytest.raises(PalateError, match="demo: and one of writing"):
        check_corpus(None, "demo:letters")
