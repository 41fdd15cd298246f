"""`python -m durable_rlm`: the `rlm` program, where no script of it is installed."""

from .studio.main import main

if __name__ == "__main__":
    main()
