"""Energy as measured: recordings of power probes, the steps in them, and what each took."""
