"""The step `decide_training`: drift and quality say whether the model is trained again."""
