"""`kinora gate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from cli.options import ArtifactRoot, Folder, Out, RecipeName, Settings, Work, chosen


def gate(argv: Sequence[str]) -> int:
    """Run `kinora gate`."""

    def run(
        evaluations: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="EVALUATION")],
        transformer: Folder,
        autoencoder: Folder,
        captioner: Folder,
        dataset: Folder,
        out: Out,
        recipe: RecipeName = "tiny",
        settings: Settings = (),
        artifact_root: ArtifactRoot = "",
        work: Work = Path("work"),
    ) -> int:
        """Make a model version of the best checkpoint, and say whether it is better than the deployed one.

        Both make clips of prompts that nothing has touched, and are judged by them.

        Args:
            evaluations: Folders that `kinora evaluate checkpoint` wrote, the untrained checkpoint's among them.
            transformer: Folder of the trained transformer, with all its checkpoints.
            autoencoder: Folder of the trained autoencoder.
            captioner: Folder of the trained captioner.
            dataset: Folder of the captioned clip dataset that they were trained on.
        """
        from components.runtime.code_digest import code_digest
        from evaluation.checkpoint import joined
        from evaluation.gate.page import decision_page
        from evaluation.selection import TrainedModels, choose, select_version
        from evaluation.task import evaluate_item
        from kinora.config import read_json
        from kinora.data.clips import ClipDataset
        from kinora.generation.registry import Registry
        from kinora.storage import artifact_root as artifact_root_of

        models, clips = TrainedModels(transformer, autoencoder, captioner), ClipDataset.open(dataset)
        registry = Registry(artifact_root_of(artifact_root, work))
        found = chosen(recipe, settings)
        judged = out.with_name(f"{out.name}-judged")
        results = joined(read_json(folder / "evaluation.json") for folder in evaluations)
        choice = choose(models, results, clips, found, registry, shards=1)
        decisive = [
            evaluate_item(item, transformer, autoencoder, clips, found, registry, judged / item)
            for item in choice.items
        ]
        decision, version = select_version(models, choice, decisive, clips, found, code_digest(), registry, out)
        report = decision_page(decision).write(out / "report.html")
        print(f"{decision.reason} {report}")
        if choice.items:
            print(f"What was judged is in {judged}.")
        print(f"The model version is {version.path}" + ("; `kinora promote` deploys it." if decision.promote else "."))
        return 0

    return tyro.cli(run, prog="kinora gate", args=argv)
