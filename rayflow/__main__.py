"""`python -m rayflow` is the command `rayflow`."""

from rayflow.cli.main import main

if __name__ == "__main__":
    main()
