"""One file for each contestant. Each implements `bench.compare.orders`.

They run in their own environments. The files for other engines import only `bench.compare.orders`,
`bench.compare.calls` and `bench.compare.offers` from the project.
"""
