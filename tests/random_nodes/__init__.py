"""Random layers, extreme ones too; a new one has its draw in a module here, named in `draw.DRAW`."""
