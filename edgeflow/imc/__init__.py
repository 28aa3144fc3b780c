"""Programs on analog crossbars: what devices, converters and years make of the same integers."""
