"""The step `pretrain`: the transformer is trained."""
