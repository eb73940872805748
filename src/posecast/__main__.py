"""`python -m posecast` is `posecast`; launchers of several processes want a module."""

from posecast.cli import main

raise SystemExit(main())
