"""The gate: what may take the place of the deployed model.

Checkpoints are chosen on one set of prompts and seeds; here the chosen one and its rival are compared once, on another
that nothing has touched (`evaluation.prompts`). One primary measure, named in the recipe, must be better by more than
chance explains, and every guard no worse than by a stated margin. The rule and why it is so: docs/adr/0014.
"""
