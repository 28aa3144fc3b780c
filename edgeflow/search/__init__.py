"""Search over models and their compression: the best ones within constraints known beforehand."""
