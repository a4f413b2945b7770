"""``python -m reconscale``."""

from reconscale.cli import main

if __name__ == "__main__":
    main()
