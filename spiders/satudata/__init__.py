"""LKPP's Satu Data and its neighbours: the open services, the keyed ISB ones, and the data.inaproc.id gateway."""
