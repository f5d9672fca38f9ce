"""Old Faithful in a minute: a Gaussian mixture by variational inference and by NUTS, side by side."""

import shutil
from pathlib import Path

import typer

import inference
import zoo


def main(folder: Path = Path("runs/demo")) -> None:
    """Fit both, print what they found, and write a report of each."""
    faithful = zoo.data.load("faithful")
    typer.echo(f"Old Faithful: {len(faithful.x)} eruptions ({', '.join(faithful.columns)}). A mixture of two Gaussians, fitted twice.\n")
    pair = zoo.create("gmm", faithful.frame, components=2)
    fits = {"svi": inference.svi(pair, faithful.frame), "nuts": inference.mcmc(pair, faithful.frame, warmup=200, draws=500)}
    reports = {name: inference.diagnose(posterior) for name, posterior in fits.items()}
    left, right = reports["svi"].table[["mean", "sd"]], reports["nuts"].table[["mean", "sd", "rhat"]]
    table = left.add_suffix(" (svi)").join(right.add_suffix(" (nuts)"))
    typer.echo(table.to_string(float_format=lambda v: f"{v:.3f}"))
    shutil.rmtree(folder, ignore_errors=True)
    for name, found in reports.items():
        fits[name].save(folder / name)
        path = found.to_html(folder / name / "report.html")
        typer.echo("\n".join(["", found.title, found.verdict, *(f"  {f}" for f in found.findings), f"  report: {path.resolve().as_uri()}"]))


if __name__ == "__main__":
    main()
