"""How metrics are called and written in a report."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class MetricStyle:
    """How numbers of one metric are shown."""

    title: str
    unit: str
    """What a number is in; "" for a bare number."""
    digits: int
    """After the point."""
    scale: float = 1.0
    """Shown number / number in the table."""
    higher_is_better: bool = True
    meaning: str = ""
    """A sentence for readers who do not know it."""

    def text(self, value: float) -> str:
        """The number as shown, without its unit."""
        return "-" if math.isnan(value) else f"{self.scale * value:.{self.digits}f}"

    def signed(self, value: float) -> str:
        """A difference as shown."""
        return "-" if math.isnan(value) else f"{self.scale * value:+.{self.digits}f}"

    @property
    def heading(self) -> str:
        """The title, with the unit where there is one."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return "higher is better" if self.higher_is_better else "lower is better"


_BOX = "the box, the rectangle around the person over the whole clip"

_STYLES = {
    "distance": MetricStyle(
        *("Mean joint distance", "% of box", 1, 100.0, False),
        "How far a joint is from where it really was, on average, as a share of the longer side "
        f"of {_BOX}.",
    ),
    "velocity error": MetricStyle(
        *("Velocity error", "% of box a frame", 2, 100.0, False),
        "How far off a joint's movement from frame to frame is. Standing still scores well where "
        "motion is slow.",
    ),
    "psnr": MetricStyle(
        *("PSNR", "dB", 1),
        meaning="Likeness of pixels. Prefers a blur to a sharp picture that is slightly off.",
    ),
    "ssim": MetricStyle(
        *("SSIM", "", 3),
        meaning="Likeness of local structure, 1 is equal. A still background scores high.",
    ),
    "lpips": MetricStyle(
        *("LPIPS", "", 3, 1.0, False),
        "Distance of pictures as a network sees them; nearer to what people see than PSNR.",
    ),
    "action accuracy": MetricStyle(
        *("Action recognised", "%", 1, 100.0),
        meaning="Share of clips whose seen and forecast poses still look like their action to a "
        "classifier trained on true poses.",
    ),
    "action probability": MetricStyle(
        *("Probability of the action", "%", 1, 100.0),
        meaning="What that classifier gives the true action, on average.",
    ),
    "video action accuracy": MetricStyle(
        *("Action recognised in frames", "%", 1, 100.0),
        meaning="The same from the optical flow of the frames.",
    ),
    "fvd": MetricStyle(
        *("Frechet video distance", "", 1, 1.0, False),
        "Distance of the distribution of forecast videos from that of true ones, 0 is equal.",
    ),
}

_OF_SAMPLES = {
    "best": "Of several futures of a clip the one that came nearest, chosen by the truth: what was "
    "thought possible, not what was said to be likely. More futures make it better by themselves.",
    "mean": "The mean over several futures of a clip, each by its weight.",
}

_ORDER = (
    *("pck", "distance", "psnr", "ssim", "lpips", "velocity", "spread", "action", "video", "fvd"),
)


def style_of(metric: str) -> MetricStyle:
    """How to show a metric; one that is not known is shown as it is.

    "psnr (best of 5)" is shown as "psnr", under a title that says so.
    """
    base, _, of_samples = metric.partition(" (")
    if of_samples:
        style = style_of(base)
        meaning = _OF_SAMPLES[of_samples.split()[0]]
        return replace(style, title=f"{style.title} ({of_samples}", meaning=meaning)
    if metric.startswith("spread"):
        return MetricStyle(
            *(metric.capitalize(), "% of box", 1, 100.0, False),
            "Mean distance between two of the futures of one clip, as a share of the longer side "
            f"of {_BOX}: what a method thinks possible, not whether it is right.",
        )
    if metric.startswith("pck@"):
        share = 100 * float(metric.removeprefix("pck@"))
        return MetricStyle(
            *(f"PCK@{metric.removeprefix('pck@')}", "%", 1, 100.0),
            meaning=f"Share of joints that are nearer to the truth than {share:g} % of the longer "
            f"side of {_BOX} (percentage of correct keypoints).",
        )
    return _STYLES.get(metric, MetricStyle(metric, "", 3))


def in_order(metrics: tuple[str, ...]) -> list[str]:
    """Metrics as a report lists them."""
    places = {
        metric: next((n for n, name in enumerate(_ORDER) if metric.startswith(name)), len(_ORDER))
        for metric in metrics
    }
    return sorted(metrics, key=lambda metric: (places[metric], metric))


def is_pose_metric(metric: str) -> bool:
    """Whether the metric is of poses, not of frames."""
    return metric.startswith(("pck@", "distance", "velocity", "spread"))
