"""`python -m dlkit`: the command line."""

from dlkit.cli import main

if __name__ == "__main__":
    main(prog_name="dlkit")
