"""What the reference model must reach: one script for each row of the table, and all of them together.

python -m benchmarks.reach
python -m benchmarks.reach.loop --model VERSION --count 20 --seed 0
"""
