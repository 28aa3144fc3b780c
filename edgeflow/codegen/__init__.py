"""Integer programs as C libraries and firmware images."""
