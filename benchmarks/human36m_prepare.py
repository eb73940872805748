"""Peak memory and time of `posecast prepare human36m` on one video of full length and size.

    python -m benchmarks.human36m_prepare HUMAN36M [--every 4] [--num-frames 6000]

HUMAN36M needs poses only: a hundred frames are drawn from its first clip, and the encoded video is
repeated until it has 6,000 frames of 1000 x 1002 pixels, the longest that the data set has.
Prints what the clip took in a process of its own, and how it compares with decoding alone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import scipy.io

from posecast.datasets.drawn.human36m import drawn_film
from posecast.datasets.human36m import FPS, Human36M
from posecast.media.videos import read_video
from posecast.media.writing import write_mp4

SHORT = 100
CHILD = """
import json, resource, sys
from pathlib import Path
from posecast.cli import main
status = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: that starts with the parent's.
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "peak_mib": int(peak) / 1024}))
sys.exit(status)
"""
"""The command, and then what its process used (Linux)."""


def main() -> None:
    """Make the video, prepare it, print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("human36m", type=Path)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--num-frames", type=int, default=6000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        video = write_long_clip(asked.human36m, raw, asked.num_frames // SHORT)
        start = time.monotonic()
        num_frames = sum(1 for _ in read_video(video, every=asked.num_frames))
        decoding = time.monotonic() - start
        assert num_frames == 1
        wall, used = run_prepare(raw, Path(folder) / "store", asked.every)
        size = (Path(folder) / "store" / "frames" / "S1_Walking.54138969.npy").stat().st_size
    print(f"{asked.num_frames} frames of 1000 x 1002, every {asked.every}:")
    print(f"  wall {wall:.1f} s, processor {used['seconds']:.1f} s")
    print(f"  peak memory {used['peak_mib']:.0f} MiB (6,000 whole frames would be 17 GiB)")
    print(f"  decoding alone, in this process: {decoding:.1f} s")
    print(f"  stored frames: {size / 2**20:.0f} MiB")


def write_long_clip(source: Path, raw: Path, repeats: int) -> Path:
    """The data set's layout with one clip, a drawn one over and over."""
    poses = Human36M(source, every=1, poses_only=True)
    pose = poses.read_poses(poses.clip_ids()[0])
    (raw / "S1" / "Videos").mkdir(parents=True)
    (raw / "S1" / "MyPoseFeatures" / "D2_Positions").mkdir(parents=True)
    short, video = raw / "short.mp4", raw / "S1" / "Videos" / "Walking.54138969.mp4"
    write_mp4(short, map(drawn_film(pose, seed=0).frame, range(SHORT)), FPS)
    repeat_video(short, video, repeats)
    track = np.tile(pose.joints_px[:SHORT].reshape(SHORT, 64).astype(np.float32), (repeats, 1))
    scipy.io.savemat(
        raw / "S1" / "MyPoseFeatures" / "D2_Positions" / "Walking.54138969.mat", {"data": track}
    )
    return video


def repeat_video(source: Path, target: Path, repeats: int) -> None:
    """Write the packets of a video several times, without encoding them again."""
    with av.open(str(target), "w") as output:
        stream, shift = None, 0
        for _ in range(repeats):
            with av.open(str(source)) as container:
                template = container.streams.video[0]
                stream = stream or output.add_stream_from_template(template)
                end = shift
                for packet in container.demux(template):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.stream = stream
                    output.mux(packet)
                shift = end


def run_prepare(raw: Path, store: Path, every: int) -> tuple[float, dict[str, float]]:
    """Wall-clock seconds, and what the process used."""
    words = ["prepare", "human36m", str(raw), str(store), "--every", str(every), "--workers", "1"]
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", CHILD, *words], check=True, stdout=subprocess.PIPE)
    return time.monotonic() - start, json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
