"""Two branches over the results of a parameterised choice."""

import random

from metaflow import FlowSpec, JSONType, Parameter, step


class PlaylistFlow(FlowSpec):
    genre = Parameter("genre", default="Comedy")
    hint = Parameter("hint", default=None)
    recommendations = Parameter("recommendations", default=3, type=int)
    weights = Parameter("weights", default='{"a": 1.5}', type=JSONType)
    tags = Parameter("words", separator=",", default="x,y")
    verbose = Parameter("verbose", default=False, is_flag=True)

    @step
    def start(self):
        self.movies = [(f"m{number}", number % 3) for number in range(12)]
        self.next(self.bonus_movie, self.genre_movies)

    @step
    def bonus_movie(self):
        self.bonus = self.movies[len(self.genre)][0]
        self.next(self.join)

    @step
    def genre_movies(self):
        rng = random.Random(7)
        self.chosen = sorted(rng.sample([name for name, kind in self.movies if kind], self.recommendations))
        self.next(self.join)

    @step
    def join(self, inputs):
        self.playlist = inputs.genre_movies.chosen
        self.bonus = inputs.bonus_movie.bonus
        self.merge_artifacts(inputs, exclude=["chosen"])
        self.summary = (self.weights, self.tags, self.hint, self.verbose)
        self.next(self.end)

    @step
    def end(self):
        for at, movie in enumerate(self.playlist):
            print(f"Pick {at}: {movie}")


if __name__ == "__main__":
    PlaylistFlow()
