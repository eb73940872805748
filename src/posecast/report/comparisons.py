"""Comparisons of several videos of one's own in one table, each video counted alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from posecast.evaluation.comparison import Comparison
from posecast.evaluation.summary import bootstrap
from posecast.report.headline import in_columns

_AT_S = (0.25, 0.5, 1.0, 2.0)
_NUM_DRAWS, _SEED = 1000, 0


def comparisons_text(compared: Mapping[str, Comparison]) -> str:
    """A line a video, one of all, and a sentence, for a terminal."""
    errors = _errors([*compared.values()])
    rows = [("", [*(f"+{at:g} s" for at in _AT_S), "mean", "moments", "PSNR"])]
    for name, one, each in zip(compared, compared.values(), errors, strict=True):
        shares = [_text(share, ".2f") for share in _share(each)]
        rows.append((name, [*shares, str(one.pooled.num_moments), _text(one.psnr_gain, "+.1f")]))
    said = together(compared)
    shares = [_text(share, ".2f") for share in (*said["share_after_s"].values(), said["share"])]
    rows.append(("all", [*shares, "", _text(said["psnr_gain_db"], "+.1f")]))
    return "\n".join(
        [
            'Joints: distance from where they came to be, as a share of that of "the last pose '
            'stays"; PSNR: dB above "the last frame stays"',
            *in_columns(rows),
            f"Nearer to what came than standing still in {said['nearer']} of {len(compared)} "
            f"videos; {_all_in_all(said['share'], *said['share_interval'])}.",
        ]
    )


def _all_in_all(share: float, low: float, high: float) -> str:
    if not np.isfinite(share):
        return "nobody moves in any, so these videos cannot tell"
    interval = f"95 % interval over videos {low:.2f} to {high:.2f}"
    return f"all in all {share:.2f} of its distance ({interval})"


def together(compared: Mapping[str, Comparison]) -> dict[str, Any]:
    """All videos as one, for programs: distances are summed, so that a video in which nobody moves
    weighs little."""
    errors = _errors([*compared.values()])
    drawn = _share(bootstrap(len(errors), _NUM_DRAWS, _SEED) @ errors[:, -1])
    shares = _share(np.nansum(errors, axis=0))
    gains = [each.psnr_gain for each in compared.values()]
    known = [gain for gain in gains if np.isfinite(gain)]
    interval = np.nanpercentile(drawn, [2.5, 97.5]).tolist() if shares[-1] >= 0 else [np.nan] * 2
    return {
        "videos": len(errors),
        "nearer": int((errors[:, -1, 0] < errors[:, -1, 1]).sum()),
        "share": float(shares[-1]),
        "share_interval": interval,
        "share_after_s": dict(zip(map("{:g}".format, _AT_S), shares[:-1].tolist(), strict=True)),
        "psnr_gain_db": float(np.mean(known)) if known else float("nan"),
    }


def _errors(compared: Sequence[Comparison]) -> Float[np.ndarray, "v t 2"]:
    """Of each video after _AT_S and on the mean: of the forecast, and of standing still."""
    return np.array([[*(each.errors_at(at) for at in _AT_S), each.errors] for each in compared])


def _share(errors: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
    """NaN where nothing was measured, or nobody moved."""
    return errors[..., 0] / np.where(errors[..., 1] > 0, errors[..., 1], np.nan)


def _text(number: float, style: str) -> str:
    return format(number, style) if np.isfinite(number) else "-"
