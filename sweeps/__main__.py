"""``python -m sweeps`` is ``freezo``."""

from sweeps.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
