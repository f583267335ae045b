"""Statistics over a table of movies, a task a genre."""

import csv
import io
from statistics import median

from metaflow import FlowSpec, IncludeFile, Parameter, step


class MovieStatsFlow(FlowSpec):
    movie_data = IncludeFile("movie_data", help="The movies.", default="movies.csv")
    quantile = Parameter("quantile", default=0.5, help="Above which a movie is a hit.")

    @step
    def start(self):
        rows = list(csv.DictReader(io.StringIO(self.movie_data)))
        self.table = {name: [row[name] for row in rows] for name in rows[0]}
        self.genres = sorted({genre for each in self.table["genres"] for genre in each.split("|")})
        self.next(self.compute_statistics, foreach="genres")

    @step
    def compute_statistics(self):
        self.genre = self.input
        chosen = [at for at, genres in enumerate(self.table["genres"]) if self.genre in genres.split("|")]
        self.titles = [self.table["title"][at] for at in chosen]
        gross = sorted(int(self.table["gross"][at]) for at in chosen)
        self.median = median(gross)
        self.hits = [at for at in chosen if int(self.table["gross"][at]) >= gross[int(len(gross) * self.quantile)]]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.genre_stats = {each.genre: {"titles": each.titles, "median": each.median, "hits": len(each.hits)} for each in inputs}
        self.merge_artifacts(inputs, include=["table", "genres"])
        self.next(self.end)

    @step
    def end(self):
        print("genres:", len(self.genre_stats))


if __name__ == "__main__":
    MovieStatsFlow()
