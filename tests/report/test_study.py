"""Preference studies: blind pages, answers in a real browser, and what the answers say."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser import browser
from posecast.errors import PosecastError
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import Method, baseline_methods
from posecast.evaluation.record import EvaluationConfig
from posecast.metrics.agreement import agreeing_share, krippendorff_alpha, wilson_interval
from posecast.report.study import StudyConfig, make_study
from posecast.report.study_answers import read_study
from posecast.report.study_files import SPOILT, TRUTH, read_key
from small_store import SIZE, a_clip, a_store


class Black:
    """A forecast of frames: black, unlike any baseline."""

    def predict_frames(self, seen, steps):
        return np.zeros((steps, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory) -> list[Path]:
    """Two evaluations of the same eight clips of two actions."""
    folder = tmp_path_factory.mktemp("evaluations")
    clips = [
        a_clip(f"c{n}", speed=n, has_frames=True, action=["run", "walk"][n % 2]) for n in range(8)
    ]
    store = a_store(folder, *clips)
    config = EvaluationConfig(num_past=4, steps=6, examples=0, random_examples=8)
    paths = [folder / "first", folder / "second"]
    for path in paths:
        methods = [Method("mine", "forecast", frames=Black()), *baseline_methods(["last frame"])]
        evaluate(methods, store, path, config)
    return paths


@pytest.fixture(scope="module")
def study(evaluations, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("study") / "study"
    make_study(evaluations[:1], out, StudyConfig(checks=2, seed=3))
    return out


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_each_method_is_as_often_left_as_right(study):
    key = read_key(study)
    assert key.comparisons == (("mine", "last frame"),)
    asked = [pair for pair in key.pairs if not pair.is_check]
    assert {pair.clip for pair in asked} == {f"c{n}" for n in range(8)}
    assert sum(pair.left == "mine" for pair in asked) == 4
    checks = [pair for pair in key.pairs if pair.is_check]
    assert [{pair.left, pair.right} for pair in checks] == [{TRUTH, SPOILT}] * 2


def test_the_page_does_not_say_which_side_is_which(study):
    page = study / "page"
    text = (page / "index.html").read_text()
    assert not re.search(r"https?://", text)
    told = text[text.rindex("</style>") :]
    assert not re.search(r"mine|last frame|upside|c\d\b|evaluation", told)
    data = json.loads(re.search(r'id="data">(.+?)</script>', text)[1])
    names = [pair[side] for pair in data["pairs"] for side in ("left", "right")]
    assert len(set(names)) == len(names) == 20
    assert sorted(path.name for path in (page / "files").iterdir()) == sorted(names)
    assert all(re.fullmatch(r"[0-9a-f]{8}\.jpg", name) for name in names)
    assert not (page / "key.json").exists()
    # The order on the page is not that of the key, and no order of names gives a side away.
    assert [pair["pair"] for pair in data["pairs"]] != [pair.pair for pair in read_key(study).pairs]
    assert len({picture(page / "files" / name).shape for name in names}) == 1


def test_the_sides_show_what_the_key_says(study):
    key = {pair.pair: pair for pair in read_key(study).pairs}
    text = (study / "page" / "index.html").read_text()
    for shown in json.loads(re.search(r'id="data">(.+?)</script>', text)[1])["pairs"]:
        for side in ("left", "right"):
            grid = picture(study / "page" / "files" / shown[side])
            assert shown["past"] == 4
            last = grid[:, -grid.shape[1] // 10 :]  # of ten frames: four seen, six forecast
            assert (last.mean() < 5) == (getattr(key[shown["pair"]], side) == "mine")


def test_the_same_seed_gives_the_same_study(evaluations, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_study(evaluations[:1], tmp_path / name, StudyConfig(seed=seed))
    keys = [read_key(tmp_path / name) for name in "abc"]
    assert keys[0] == keys[1]
    assert keys[0].pairs != keys[2].pairs
    pages = [(tmp_path / name / "page" / "index.html").read_text() for name in "ab"]
    assert pages[0] == pages[1]


def test_two_runs_against_each_other_with_the_truth(evaluations, tmp_path):
    config = StudyConfig(against=("mine",), clips=3, truth=True, checks=0)
    said = make_study(evaluations, tmp_path / "study", config)
    key = read_key(tmp_path / "study")
    assert key.comparisons == (("mine of first", "mine of second"),)
    assert len(key.pairs) == 3
    assert "3 pairs and 0 attention checks" in said
    assert "no fair sample" not in said
    text = (tmp_path / "study" / "page" / "index.html").read_text()
    assert "nearer to what really came" in text
    assert text.count('"truth": ') == 3


def test_skeletons_alone(tmp_path):
    store = a_store(tmp_path, *(a_clip(f"c{n}", speed=n) for n in range(3)))
    still = Method("mine", "forecast", poses=baseline_methods(["last pose"])[0].poses)
    methods = [still, *baseline_methods(["constant velocity"])]
    evaluate(methods, store, tmp_path / "out", EvaluationConfig(num_past=4, steps=6))
    with pytest.raises(PosecastError, match="nothing to compare in frames"):
        make_study([tmp_path / "out"], tmp_path / "study")
    said = make_study([tmp_path / "out"], tmp_path / "study", StudyConfig(show="poses"))
    assert "3 pairs" in said
    assert "no fair sample" in said


def test_what_cannot_be_made_is_said(evaluations, study, tmp_path):
    with pytest.raises(PosecastError, match="is there already"):
        make_study(evaluations, study)
    with pytest.raises(PosecastError, match="is no evaluation"):
        make_study([tmp_path], tmp_path / "out")
    with pytest.raises(PosecastError, match=r"no method \['nobody'\]; there are last frame, mine"):
        make_study(evaluations[:1], tmp_path / "out", StudyConfig(against=("nobody",)))


# --- answers --------------------------------------------------------------------------------------


def answers_of(study: Path, path: Path, rater: str, prefers, checks_right: bool = True) -> Path:
    """A file as the page saves it; `prefers` says of a pair which method is chosen."""
    key, answers = read_key(study), []
    for pair in key.pairs:
        wanted = prefers(pair) if not pair.is_check else (TRUTH if checks_right else SPOILT)
        choice = "left" if pair.left == wanted else "right"
        answers.append({"pair": pair.pair, "choice": choice, "seconds": 2.5})
    stored = {"format_version": 1, "study": key.study, "rater": rater, "answers": answers}
    path.write_text(json.dumps(stored))
    return path


def test_rates_are_shares_by_clip_and_action(study, tmp_path):
    # Both prefer "mine" of the running clips; of the walking ones only the first does.
    files = [
        answers_of(study, tmp_path / "a.json", "a", lambda pair: "mine"),
        answers_of(
            *(study, tmp_path / "b.json", "b"),
            lambda pair: "mine" if pair.action == "run" else "last frame",
        ),
    ]
    result = read_study(study, files)
    rates = {each.action: each for each in result.preferences}
    assert {name: each.rate for name, each in rates.items()} == {"all": 0.75, "run": 1, "walk": 0.5}
    assert [rates["all"].num_clips, rates["all"].num_votes] == [8, 16]
    assert (rates["run"].low, rates["run"].high) == pytest.approx((0.5101, 1.0), abs=1e-4)
    assert result.agreeing == 0.5
    assert result.raters == ("a", "b")
    assert result.left_out == {}
    text = result.summary()
    assert "2 raters, 16 choices" in text
    assert "mine against last frame   75 % (" in text


def test_who_does_not_look_does_not_count(study, tmp_path):
    files = [
        answers_of(study, tmp_path / "a.json", "a", lambda pair: "mine"),
        answers_of(study, tmp_path / "b.json", "b", lambda pair: "last frame", checks_right=False),
    ]
    result = read_study(study, files)
    assert result.left_out == {"b": "0 of 2 attention checks right"}
    assert result.preferences[0].rate == 1
    assert "agreement: no pair was judged by two raters" in result.summary()
    assert read_study(study, files, least_checks=0.0).preferences[0].rate == 0.5
    with pytest.raises(PosecastError, match=r"no answers that count .* 1 raters\. b: 0"):
        read_study(study, files[1:])


def test_strange_answers_are_refused(study, tmp_path):
    good = answers_of(study, tmp_path / "a.json", "a", lambda pair: "mine")
    with pytest.raises(PosecastError, match="there are answers of rater 'a' already"):
        read_study(study, [good, good])
    stored = json.loads(good.read_text())
    changed = [
        ({"study": "another"}, "answers study another"),
        ({"answers": stored["answers"][:1] * 2}, "answers a pair twice"),
        ({"answers": [{"pair": "?", "choice": "left", "seconds": 1}]}, "not in the study"),
        ({"answers": [{"pair": "?", "choice": "up", "seconds": 1}]}, "is damaged"),
        ({"answers": 3}, "is damaged"),
        ({"format_version": 9}, "newer posecast"),
    ]
    for change, message in changed:
        (tmp_path / "bad.json").write_text(json.dumps(stored | change))
        with pytest.raises(PosecastError, match=message):
            read_study(study, [tmp_path / "bad.json"])
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(PosecastError, match="expected an object"):
        read_study(study, [tmp_path / "bad.json"])
    with pytest.raises(PosecastError, match="is no study"):
        read_study(tmp_path, [good])


def test_alpha_of_the_textbook():
    """Krippendorff (2011), the examples of sections A and C: 0.095 and 0.743."""
    two = ["0100000010", "1110010000"]
    units = [[row[n] for row in two] for n in range(10)]
    assert krippendorff_alpha(units) == pytest.approx(0.095, abs=5e-4)
    four = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[row[n] for row in four if row[n] != "."] for n in range(12)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)
    assert np.isnan(krippendorff_alpha([["a", "a"], ["a"]]))
    assert agreeing_share([["a", "a", "b"], ["a", "a"], ["b"]]) == pytest.approx((1 / 3 + 1) / 2)


def test_wilson_interval_of_the_textbook():
    """81 of 263 (Newcombe 1998, table I, method 3): 0.2553 to 0.3662; and of none of 20."""
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0.0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson_interval(0.5, 0) == (0, 1)


# --- a real browser -------------------------------------------------------------------------------


def test_somebody_takes_part_in_a_browser(study, tmp_path):
    """Always chooses what goes black, and in checks the truth; closes the page in between."""
    key = {pair.pair: pair for pair in read_key(study).pairs}
    with browser() as chromium:
        context = chromium.new_context(viewport={"width": 390, "height": 800})
        page = context.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto((study / "page" / "index.html").as_uri())
        page.fill("#name", "Ann/1")
        page.click("#start")
        assert page.is_disabled("[data-choice=left]"), "can be answered before it was seen"
        for number in range(len(key)):
            assert page.text_content("#count") == f"Pair {number + 1} of {len(key)}"
            page.wait_for_selector("[data-choice=left]:enabled")
            pair = key[page.evaluate("shown.pair")]
            left = pair.left in ("mine", TRUTH)
            if number % 2:
                page.click(f"[data-choice={'left' if left else 'right'}]")
            else:
                page.keyboard.press("ArrowLeft" if left else "ArrowRight")
            if number == 3:
                page.reload()  # goes on where it was
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        with page.expect_download() as download:
            page.click("#save")
        saved = tmp_path / download.value.suggested_filename
        download.value.save_as(saved)
    assert re.fullmatch(r"answers-Ann-1-[0-9a-f]+\.json", saved.name)
    assert {url.partition(":")[0] for url in requests} <= {"file", "blob"}
    result = read_study(study, [saved])
    assert result.left_out == {}
    assert [each.rate for each in result.preferences] == [1, 1, 1]
    answers = json.loads(saved.read_text())["answers"]
    assert len(answers) == 10
    assert all(each["seconds"] > 0 for each in answers)
    # Another order than that of the page: each rater has an own one.
    shown = re.findall(r'"pair": "([0-9a-f]{8})"', (study / "page" / "index.html").read_text())
    assert [each["pair"] for each in answers] != shown
