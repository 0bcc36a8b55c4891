"""How well a super-net's score ranks architectures, and how far to trust the number.

`metrics` are pure functions of two arrays, `uncertainty` says how far they carry, `architecture_sets` names what is
scored, `baselines` says what costs nothing, `summary` puts them into one record. Nothing here imports torch at
module level except `torchmetrics` and `evaluator`, which are imported by name where they are needed.
"""
