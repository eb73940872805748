"""`posecast app`: forecasts in a browser."""

import signal
import sys
from dataclasses import dataclass

from posecast.app.serving import EXPOSED, is_local, serve_app
from posecast.app.work import Limits
from posecast.cli.parsing import Command
from posecast.computing.devices import Flat, ForecasterOptions


@dataclass(frozen=True)
class App(Command):
    """Open the app: drop a video of a person into a page, and look at how it goes on.

    Needs the extra 'app' (pip install 'posecast[app]') and no network: it runs on this machine,
    with the weights that ship, and only this machine can reach it unless --host says otherwise.

    Examples:
      posecast app
      posecast app --port 8000 --max-seconds 300
    """

    host: str = "127.0.0.1"
    """Address to listen on. 0.0.0.0 lets other machines in: whoever can reach this one can then use
    the app, without a password, and what they send is not encrypted on its way."""
    port: int = 7860
    """Port to listen on; 0 takes a free one."""
    limits: Flat[Limits] = Limits()
    options: Flat[ForecasterOptions] = ForecasterOptions()

    def __call__(self) -> None:

        def tell(address: str) -> None:
            if not is_local(self.host):
                print(EXPOSED.format(address=address), file=sys.stderr)
            print(f"posecast app: {address} (Ctrl-C ends it)", flush=True)

        print("posecast app: loading (some seconds)", file=sys.stderr, flush=True)
        # So that an end from outside clears away what the app holds, too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            serve_app(self.host, self.port, self.limits, self.options, tell)
        except KeyboardInterrupt:
            print("posecast app: ended", file=sys.stderr)
