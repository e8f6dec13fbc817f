"""The version of the distribution; ``credit_wallet.__version__`` for everybody else."""

__version__ = "0.1.0"
