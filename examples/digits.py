"""Model selection on scikit-learn's 1,797 handwritten digits: every model on every fold at once, the best one refitted and tested.

    python examples/digits.py run

Needs the extra `digits`. The data come with scikit-learn; nothing is downloaded.
"""

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from rayflow import FlowSpec, Parameter, retry, step


def candidates():
    """The models to choose from, by name."""
    neighbours = {f"{k} neighbours": KNeighborsClassifier(n_neighbors=k) for k in (1, 3, 5)}
    machines = {f"svm C={c:g} gamma={gamma:g}": SVC(C=c, gamma=gamma) for c in (1, 10) for gamma in (0.0003, 0.001, 0.01)}
    return {"logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), **neighbours, **machines}


class DigitsFlow(FlowSpec):
    """Chooses a classifier by cross validation and measures it on digits that it has not seen."""

    folds = Parameter("folds", default=5, help="Into how many parts the training data are cut.")
    at_least = Parameter("at-least", default=0.97, help="The run fails if the accuracy on the held-out digits is below this.")

    @step
    def start(self):
        """Puts a quarter of the digits aside, and lays out the grid: every model on every fold."""
        images, labels = load_digits(return_X_y=True)
        self.images, self.held_out_images, self.labels, self.held_out_labels = train_test_split(
            images, labels, test_size=0.25, stratify=labels, random_state=0
        )
        self.grid = [(model, fold) for model in candidates() for fold in range(self.folds)]
        self.next(self.evaluate, foreach="grid")

    @retry(times=1)
    @step
    def evaluate(self):
        """One model, trained without one fold and scored on it."""
        self.model, self.fold = self.input
        folds = StratifiedKFold(self.folds, shuffle=True, random_state=0)
        train, test = list(folds.split(self.images, self.labels))[self.fold]
        fitted = candidates()[self.model].fit(self.images[train], self.labels[train])
        self.score = float(fitted.score(self.images[test], self.labels[test]))
        self.next(self.rank)

    @step
    def rank(self, inputs):
        """All scores as one Arrow table, without loading a task: the mean over the folds ranks the models."""
        self.scores = inputs.table("model", "fold", "score")
        means = self.scores.group_by("model").aggregate([("score", "mean")])
        self.ranking = means.sort_by([("score_mean", "descending"), ("model", "ascending")])
        self.best = self.ranking["model"][0].as_py()
        self.merge_artifacts(inputs, include=["images", "labels", "held_out_images", "held_out_labels"])
        self.next(self.refit)

    @step
    def refit(self):
        """The best model, trained on all that was not put aside."""
        self.classifier = candidates()[self.best].fit(self.images, self.labels)
        self.accuracy = float(self.classifier.score(self.held_out_images, self.held_out_labels))
        self.next(self.end)

    @step
    def end(self):
        """Says how good it is, and refuses a result that is not good enough."""
        for row in self.ranking.slice(0, 3).to_pylist():
            print(f"{row['score_mean']:.4f}  {row['model']}")
        print(f"best model: {self.best}, accuracy on {len(self.held_out_labels)} held-out digits: {self.accuracy:.4f}")
        if self.accuracy < self.at_least:
            raise ValueError(f"The accuracy {self.accuracy:.4f} is below {self.at_least}.")


if __name__ == "__main__":
    DigitsFlow()
