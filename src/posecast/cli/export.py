"""`posecast export onnx`: the networks for programs without PyTorch."""

from dataclasses import dataclass
from pathlib import Path

from posecast.cli.parsing import Command
from posecast.computing.devices import Flat
from posecast.export.writing import OnnxSources, export_onnx


@dataclass(frozen=True)
class ExportOnnx(Command):
    """Write estimator, forecaster and drawer as ONNX files, for programs without PyTorch.

    Writes OUT/*.onnx, and OUT/posecast-onnx.json, which says what goes in and comes out of each and
    how they are put together. 'posecast forecast --backend onnx' uses them; so do
    examples/forecast_onnx.py, which imports no PyTorch, and the page in web/, which runs in a
    browser. Takes minutes. Needs: pip install 'posecast[onnx]'.

    Examples:
      posecast export onnx
      posecast export onnx --out onnx --pose-run runs/motion
    """

    out: Path = Path("onnx")
    """Folder for the files."""
    sources: Flat[OnnxSources] = OnnxSources()

    def __call__(self) -> None:
        for path in export_onnx(self.out, self.sources):
            print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
