"""The command line as it is typed."""

from posecast.cli import main


def run(capsys, *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error; an exit out of the parser counts too."""
    try:
        status = main(words)
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr()
    return status, said.out, said.err
