"""From a trained float model to an integer program."""
