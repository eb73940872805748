"""Lines of progress."""

import pytest

from posecast.training.progress import Progress


@pytest.mark.parametrize(("made", "asked"), [(20, 20), (30, 20)])
def test_nothing_to_train_is_said(capsys, made, asked):
    Progress(made + 1, asked)
    said = capsys.readouterr().out
    assert said.startswith(f"The run has made {made} steps already, and {asked} are asked for")
    assert "--fresh" in said
    assert len(said.splitlines()) == 1


def test_otherwise_nothing_is_said_at_once(capsys):
    Progress(20, 20)
    Progress(31, 20, shown=False)
    assert capsys.readouterr().out == ""
