"""A running model shown live: recordings of a subject stepped at their pace, a page to watch."""
