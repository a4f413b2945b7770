"""Published learning curves: ``literature.toml`` by hand, ``studies.toml`` by ``benchmarks/published_curves.py``."""
