"""The rules of the house, read from the source itself: who imports whom, sizes, habits."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "posecast"
FILES = sorted(SOURCE.rglob("*.py"))

# Low to high; a module imports from rows above its own, or from its own package.
LAYERS = (
    ("errors",),
    ("skeletons", "records"),
    ("geometry",),
    ("clips",),
    ("computing", "pretrained", "sample"),
    ("heatmaps", "losses", "media", "motion", "carrying"),
    ("metrics", "keypoints"),
    ("datasets",),
    ("networks",),
    ("store",),
    ("villegas2017",),
    ("windows",),
    ("training", "estimation"),
    ("forecasting",),
    ("own_video", "export"),
    ("evaluation",),
    ("report",),
    ("presets",),
    ("demo", "doctor"),
    ("app",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Where two modules that the rows would allow to meet must not.
NEVER = {("datasets", "networks"), ("metrics", "records"), ("datasets", "store")}


def unit(path: Path) -> str:
    """The module or package right under posecast that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_units(path: Path) -> set[str]:
    """Units of posecast that a file imports, anywhere in it."""
    units = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        units |= {name.split(".")[1] for name in names if name.startswith("posecast.")}
    return units - {"__version__"}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree(path)) if isinstance(node, kinds)]


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def test_the_source_is_found():
    assert {"clips", "skeletons", "media"} <= {unit(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down(path):
    importer = unit(path)
    if importer == "__init__":  # the public names, looked up when they are first used
        return
    assert importer in RANK, f"{importer}: give it a place in LAYERS"
    for imported in imported_units(path) - {importer}:
        assert imported in RANK, f"{name_of(path)} imports the unknown {imported}"
        assert RANK[imported] < RANK[importer], f"{importer} imports {imported}"
        assert (importer, imported) not in NEVER, f"{importer} imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_sizes(path):
    num_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert num_lines <= 400, f"{num_lines} lines"
    for function in functions(path):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= 60, f"{function.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_public_things_say_what_they_are(path):
    assert ast.get_docstring(tree(path)), "no module docstring"
    kinds = (ast.FunctionDef, ast.ClassDef)
    public = [
        node
        for node in tree(path).body
        if isinstance(node, kinds) and not node.name.startswith("_")
    ]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_habits(path):
    text = path.read_text(encoding="utf-8")
    assert text.isascii()
    assert path.stem not in ("utils", "util", "helpers", "common", "misc")
    for marker in ("TO" + "DO", "FIX" + "ME", "raise Not" + "ImplementedError"):
        assert marker not in text
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except in line {node.lineno}"
        if isinstance(node, ast.Call):
            check_loads_safely(node)


def check_loads_safely(call: ast.Call) -> None:
    """Files from outside never reach the unrestricted unpickler."""
    options = {
        word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)
    }
    assert options.get("allow_pickle") is not True, f"line {call.lineno}"
    assert options.get("weights_only") is not False, f"line {call.lineno}"
    function = ast.unparse(call.func)
    assert function not in ("pickle.load", "pickle.loads"), f"line {call.lineno}"
    if function == "torch.load":
        assert options.get("weights_only") is True, f"line {call.lineno}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_command_line_reads_the_command_line(path):
    if unit(path) != "cli":
        words = {ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.expr)}
        assert not words & {"sys.argv", "tyro.cli"}


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.rglob("*.py")), ids=str)
def test_tests_are_ascii_and_uniquely_named(path):
    assert path.read_text(encoding="utf-8").isascii()
    namesakes = list(Path(__file__).parent.rglob(path.name))
    assert namesakes == [path], "pytest tells test files apart by their names"


# What the app never runs, or before its page is shown: messages may name flags there.
NOT_THE_APPS = (
    *("keypoints", "datasets", "networks", "store", "training", "evaluation", "villegas2017"),
    *("records/runs", "records/training_runs", "records/versions"),
    *("computing/devices", "computing/clip_workers"),
    *("estimation/onnx_files", "estimation/stored"),
    *("forecasting/jobs", "forecasting/prediction"),
    *("own_video/exports", "own_video/keypoints"),
)


def behind_the_app() -> set[Path]:
    """Files that the app imports, and those that these import."""
    found, names = set(), ["posecast.app.work", "posecast.app.page"]
    while names:
        at = SOURCE.parent.joinpath(*names.pop().split("."))
        path = at / "__init__.py" if at.is_dir() else at.with_suffix(".py")
        if path.is_file() and path not in found:
            found.add(path)
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ImportFrom):
                    names += [f"{node.module}", *(f"{node.module}.{a.name}" for a in node.names)]
    return {path for path in found if not name_of(path).startswith(NOT_THE_APPS)}


def docstring(owner: ast.AST) -> list[ast.AST]:
    """Texts that stand alone, under what they describe."""
    body = getattr(owner, "body", None)
    alone = [each for each in body if isinstance(each, ast.Expr)] if isinstance(body, list) else []
    return [each.value for each in alone if isinstance(each.value, ast.Constant)]


def test_messages_that_the_app_can_show_name_no_flags():
    """Those of the command line are an error's second text, which the app leaves out."""
    files = behind_the_app()
    assert {"own_video/truth.py", "app/page.py"} < set(map(name_of, files))
    wrong = []
    for path in files:
        nodes = list(ast.walk(tree(path)))
        hidden = [each for node in nodes for each in docstring(node)]
        for node in nodes:
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error"):
                hidden += [each for flags in node.args[1:] for each in ast.walk(flags)]
        shown = [n for n in nodes if isinstance(n, ast.Constant) and n not in hidden]
        wrong += [
            (name_of(path), n.value) for n in shown if re.search(r"(?<!\S)\(?--[a-z]", f"{n.value}")
        ]
    assert not wrong
