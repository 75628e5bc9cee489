"""Every recipe is complete, survives JSON, and an unknown one is refused by name."""

import pytest

from kinora import recipes
from kinora.config import from_dict, to_dict
from kinora.errors import UsageError
from kinora.recipes.recipe import Recipe


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_recipe_is_found_by_its_name_and_survives_json(name):
    recipe = recipes.get(name)
    assert recipe.name == name
    assert from_dict(Recipe, to_dict(recipe)) == recipe


@pytest.mark.parametrize("name", recipes.NAMES)
def test_the_parts_of_a_recipe_fit_each_other(name):
    recipe = recipes.get(name)
    worlds, vae, dit = recipe.ingest.worlds, recipe.autoencoder.model, recipe.transformer.model
    assert dit.latent_channels == vae.latent_channels
    for width, height in worlds.sizes:
        assert width % (vae.spatial * dit.patch_size) == height % (vae.spatial * dit.patch_size) == 0
    assert all(frames % vae.temporal == 1 for frames in (*worlds.frames, recipe.ingest.max_frames))
    assert recipe.evaluation.prompts + recipe.evaluation.decision_prompts <= worlds.held_out
    assert recipe.transformer.checkpoints >= 2  # the untrained one is the first rival


def test_an_unknown_recipe_is_refused_with_the_list_of_those_there_are():
    with pytest.raises(UsageError, match=r"no recipe 'huge'.*tiny, smoke"):
        recipes.get("huge")
