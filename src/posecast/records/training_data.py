"""RUN/data.json: what a run learned from, by name and by content."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from posecast.records.configs import config_from_dict
from posecast.records.files import read_json
from posecast.records.weights import read_facts

DATA_FILE = "data.json"


@dataclass(frozen=True)
class TrainingData:
    """The clips behind a run's weights; `store.identity.training_data` makes one."""

    store: dict[str, Any] = field(default_factory=dict)
    """Options that the prepared store was made with (`StoreInfo`)."""
    train: tuple[str, ...] = ()
    """Ids of the clips whose errors moved the weights."""
    validation: tuple[str, ...] = ()
    """Ids of the clips that the best weights were chosen on."""
    poses: str = ""
    """Check sum of the poses, crops and frame counts of the clips trained on; "": not known."""
    fps: float | None = None
    """Frames a second of the clips trained on, their median; None: not known."""
    crop_side_px: float | None = None
    """Longer side of their crops in source pixels, the median; None: not known."""
    actions: tuple[str, ...] = ()
    """Of a classifier: the classes, in the order of its outputs."""
    complete: bool = True
    """False where the run may have learned from more than this: begun by a posecast that did not
    record it, or from weights of which it is not known."""
    earlier: "TrainingData | None" = None
    """What the weights that training started from had learned from."""
    beside: "tuple[TrainingData, ...]" = ()
    """Other stores, and pose tracks of files, that were learned from."""

    @property
    def is_known(self) -> bool:
        """Whether nothing else can have moved the weights."""
        return all(each.complete for each in self.generations())

    def generations(self) -> "list[TrainingData]":
        """This record, those beside it and those of the runs that its weights came from."""
        others = [*self.beside, *([self.earlier] if self.earlier else [])]
        return [self, *(record for each in others for record in each.generations())]

    def differences(self, now: "TrainingData") -> list[str]:
        """One line for each thing that training on `now` would change; none for new validation
        clips where there were none."""
        lines = [
            f"store {name}: {self.store[name]!r} -> {value!r}"
            for name, value in now.store.items()
            if self.store.get(name, value) != value
        ]
        for what in ("train", "validation", "actions"):
            old, new = getattr(self, what), getattr(now, what)
            if old != new and (what == "train" or (old and new)):
                lines.append(f"{what}: {_difference(old, new)}")
        if self.poses and now.poses and self.train == now.train and self.poses != now.poses:
            lines.append("clips of the same names with other poses, crops or lengths")
        pairs = zip(self.beside, now.beside, strict=False)  # earlier versions noted none
        for number, (old, new) in enumerate(pairs, start=1):
            lines += [f"other data {number}: {line}" for line in old.differences(new)]
        return lines

    def going_on_with(self, now: "TrainingData") -> "TrainingData":
        """The record of a run that goes on with `now`, which `differences` has nothing against."""
        return replace(
            self,
            validation=self.validation or now.validation,
            fps=self.fps or now.fps,
            crop_side_px=self.crop_side_px or now.crop_side_px,
            complete=self.complete and len(self.beside) == len(now.beside),
        )


def _difference(old: tuple[str, ...], new: tuple[str, ...]) -> str:
    """As "12 -> 11; no longer 0003; new 0007"."""
    parts = [f"{len(old)} -> {len(new)}"]
    for word, names in (("no longer", set(old) - set(new)), ("new", set(new) - set(old))):
        if names:
            parts.append(f"{word} {', '.join(sorted(names)[:5])}{', ...' * (len(names) > 5)}")
    return "; ".join(parts if len(parts) > 1 else [*parts, "in another order"])


def read_training_data(source: str | Path) -> TrainingData | None:
    """What a run folder or a weight file says that it learned from; None where it does not say.

    PosecastError where that is damaged.
    """
    path = Path(source)
    if path.is_file():
        said: Any = read_facts(path).trained_on or None
    else:
        path = path / DATA_FILE
        said = read_json(path) if path.is_file() else None
    return None if said is None else config_from_dict(TrainingData, said, str(path))
