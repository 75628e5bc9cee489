"""Recipes of one's own, and single values set beside a recipe."""

import json
import os
from dataclasses import replace

import pytest

from kinora import recipes
from kinora.config import to_dict
from kinora.errors import UsageError
from kinora.recipes.settings import assignments

OWN = """
from dataclasses import dataclass, replace
from kinora import recipes

def larger():
    smoke = recipes.get("smoke")
    return replace(smoke, name="larger", transformer=replace(smoke.transformer, steps=77))

def nothing():
    return 5

def fails():
    wish = {}
    return wish["steps"]
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "my_recipes.py"
    path.write_text(OWN)
    return path


def test_a_recipe_is_found_in_a_file_and_in_a_module(own, monkeypatch):
    found = recipes.get(f"{own}:larger")
    assert (found.name, found.transformer.steps) == ("larger", 77)
    monkeypatch.chdir(own.parent)
    assert recipes.get("my_recipes.py:larger") == found
    assert recipes.get("my_recipes:larger") == found
    assert recipes.get("kinora.recipes.tiny:tiny") == recipes.get("tiny")


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("{folder}/none.py:larger", "there is no file .*none.py"),
        ("no_such.module:larger", "there is no module no_such.module"),
        ("{own}:small", "no function 'small'; it has fails, larger, nothing"),
        ("{own}:nothing", "returned int; let it return"),
        ("{own}:fails", "my_recipes.py, line 14: KeyError: 'steps'"),
        ("{folder}/broken.py:x", "broken.py, line 2"),
        ("{folder}/lacks.py:x", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("huge", "no recipe 'huge'; the recipes are tiny, smoke, phyworld, reference, base, or one of your own"),
    ],
)
def test_what_is_wrong_with_it_is_one_sentence(own, reference, sentence):
    (own.parent / "broken.py").write_text("x = 1\ndef x(:\n")
    (own.parent / "lacks.py").write_text("import no_such_package\n")
    with pytest.raises(UsageError, match=sentence) as caught:
        recipes.get(reference.format(own=own, folder=own.parent))
    assert "\n" not in str(caught.value)


def test_settings_change_single_values_by_the_type_of_the_field():
    changed = recipes.get(
        "smoke",
        'transformer.steps=500 sampling.guidance=3 name="my own" ingest.worlds.sizes=[[32, 32], [48,32]] '
        'ingest.max_side=48 transformer.model={"depth": 3} ingest.worlds.colours=["red", "blue"]',
    )
    smoke = recipes.get("smoke")
    worlds = replace(smoke.ingest.worlds, sizes=((32, 32), (48, 32)), colours=("red", "blue"))
    assert changed == replace(
        smoke,
        name="my own",
        ingest=replace(smoke.ingest, worlds=worlds, max_side=48),
        transformer=replace(smoke.transformer, steps=500, model=replace(smoke.transformer.model, depth=3)),
        sampling=replace(smoke.sampling, guidance=3.0),
    )
    assert isinstance(changed.sampling.guidance, float)
    assert recipes.get("smoke", " ") == smoke


def test_settings_may_fit_only_together():
    coarse = "autoencoder.model.spatial=8 ingest.worlds.sizes=[[32,32]] ingest.max_side=48"
    assert recipes.get("smoke", coarse).grid.side == 16
    with pytest.raises(UsageError, match=r"ingest\.max_side has 40 pixels"):
        recipes.get("smoke", "autoencoder.model.spatial=8")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("transformer.step=5", "no setting 'transformer.step'; the nearest is 'transformer.steps'"),
        ("transformer.steps.more=5", "no setting 'transformer.steps.more'"),
        ('transformer={"stepz": 5}', "no setting 'transformer.stepz'; the nearest is 'transformer.steps'"),
        ("transformer.steps=many", 'transformer.steps cannot be "many"; give a whole number, such as 30.'),
        ("transformer.steps=5.5", "cannot be 5.5"),
        ("transformer.steps=true", "cannot be true"),
        ("sampling.guidance=NaN", 'cannot be "NaN"; give a number'),
        ("transformer.steps=", 'cannot be ""'),
        ("ingest.worlds.colours=red", "colours cannot be"),
        ("ingest.worlds.sizes=[[32", "value of ingest.worlds.sizes is not whole JSON"),
        ("transformer=5", "transformer cannot be 5"),
        ("steps", "'steps' is no setting; give name=value"),
    ],
)
def test_a_wrong_setting_is_one_sentence(settings, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        recipes.get("smoke", settings)
    assert "\n" not in str(caught.value)


def test_every_field_of_a_recipe_can_be_set():
    def leaves(value, name):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from leaves(inner, f"{name}.{key}" if name else key)
        else:
            yield name, value

    smoke = recipes.get("smoke")
    text = " ".join(f"{name}={json.dumps(value)}" for name, value in leaves(to_dict(smoke), ""))
    assert recipes.get("tiny", text) == smoke
    assert dict(assignments(text)).keys() == {name for name, _ in leaves(to_dict(smoke), "")}


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_named_recipe_travels_by_name_and_one_of_your_own_as_json(own, name):
    assert recipes.portable(name, "transformer.steps=9") == (name, "transformer.steps=9")
    recipe, settings = recipes.portable(f"{own}:larger", "sampling.steps=3")
    os.remove(own)
    assert recipe == recipes.CUSTOM
    found = recipes.get(recipe, settings)
    assert (found.transformer.steps, found.sampling.steps) == (77, 3)
    assert recipes.portable(recipe, settings) == (recipe, settings)


def test_what_no_run_can_carry_is_refused():
    with pytest.raises(UsageError, match="10,000"):
        recipes.portable("tiny", f'name="{"x" * 10_000}"')
    for broken in ("", "{}", "[1]", '{"name": "x"', '{"name": 5}'):
        with pytest.raises(UsageError, match="no whole recipe as JSON"):
            recipes.get(recipes.CUSTOM, broken)
