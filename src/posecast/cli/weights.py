"""`posecast import-2017` and `import-poses-2017`: old weights, old pose estimates."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import Command
from posecast.villegas2017.conversion import import_2017
from posecast.villegas2017.estimates import import_estimates_2017


@dataclass(frozen=True)
class Import2017(Command):
    """Make a run of a pose model or an image model of the 2017 code.

    FILE is an .npz of its TensorFlow variables, names without ':0'. Where TensorFlow can read the
    checkpoint, it is made with
      reader = tf.train.load_checkpoint(path)
      np.savez(file, **{n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()})

    Examples:
      posecast import-2017 lstm.npz runs/pose
      posecast import-2017 generator.npz runs/image
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """The variables."""
    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder for the run."""

    def __call__(self) -> None:
        kind = import_2017(self.file, self.run)
        print(f"{self.run}: run of the {kind} model in {self.file}")


@dataclass(frozen=True)
class ImportPoses2017(Command):
    """Add the 2017 authors' stored pose estimates to a store, where you have them.

    FOLDER holds 0001.npz ... (Penn Action, their folder `hourglass`) or S9_Hourglass/*.npz and
    S11_Hourglass/*.npz (Human3.6M). 'posecast predict --seen-poses estimated' then starts from
    them, as the paper's tests do. Estimates that the store had before are replaced.

    Examples:
      posecast import-poses-2017 datasets/PennAction/hourglass store
      posecast import-poses-2017 datasets/Human3.6M store
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """The estimates."""
    store: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STORE")]
    """Prepared store of the same data set."""

    def __call__(self) -> None:
        print(f"{self.store}: {import_estimates_2017(self.folder, self.store).summary()}")
