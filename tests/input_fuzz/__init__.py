"""Files that are damaged or odd, of every kind that is read: seeds, mutations and the doors."""
