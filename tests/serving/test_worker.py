"""What a worker says of the model version that it serves."""

import shutil

from kinora.config import read_json, write_json
from kinora.models.text_encoder import SPECIAL
from serving.worker import EXAMPLES, facts_of


def test_its_examples_are_the_prompts_that_it_was_judged_by(version, tmp_path):
    folder = shutil.copytree(version.path, tmp_path / version.name)
    prompts = ["", "a red circle", "", "a blue circle", "a red circle", *map(str, range(EXAMPLES))]
    asked = [{"asked": {"prompt": prompt}} for prompt in prompts]
    write_json(folder / "evaluation.json", read_json(folder / "evaluation.json") | {"clips": [*asked, {"seen": 1}]})
    facts = facts_of(folder)
    assert facts["examples"] == ["a red circle", "a blue circle", "0", "1", "2", "3"]
    assert (facts["version"], facts["sizes"], facts["steps"]) == (version.name, [[32, 32], [40, 24]], 6)
    assert tuple(facts["vocabulary"][:2]) == SPECIAL
