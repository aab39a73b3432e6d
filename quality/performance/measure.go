package performance

import "math"

// Task is what a model does.
type Task int

// The tasks.
const (
	Classification Task = iota
	Regression
)

// Example is a prediction with what became of it.
type Example struct {
	// Predicted and Actual are classes. Predicted is empty where there is only a score.
	Predicted, Actual string
	// Score is the probability of the positive class. NaN: there is none.
	Score float64
	// Value and Found are numbers, of a regression.
	Value, Found float64
}

// Measures are how good predictions were. nil is what cannot be told of them.
type Measures struct {
	// Coverage is the share of which the outcome is known.
	Coverage *Estimate
	// Loss is the mean of Losses.
	Loss *Estimate

	// Of a classification. Precision and Recall are of the positive class, as AUC, LogLoss and Brier are, which need scores.
	Accuracy, Precision, Recall, AUC, LogLoss, Brier *Estimate
	// Of a regression. Bias is the mean of what was predicted less what was found.
	MAE, RMSE, Bias *Estimate
}

// Model is what is known of a model's predictions as wholes.
type Model struct {
	Task Task
	// Positive is the class that scores are of. Empty: it is not known, and nothing of it is measured.
	Positive string
	// Scored says that all of them have scores, which then say how wrong each was.
	Scored bool
}

// leastChance bounds how sure of what did not happen a score counts as, in the log loss, as scikit-learn does for floats of 64 bits.
const leastChance = 2.220446049250313e-16

// hit reports whether the class was right. A score alone is for the positive class from 0.5 on.
func (m Model) hit(e Example) bool {
	if e.Predicted != "" {
		return e.Predicted == e.Actual
	}
	return (e.Score >= 0.5) == (e.Actual == m.Positive)
}

// Loss is how wrong one prediction was: the Brier score where there are scores, else 0 or 1, and of a regression the distance.
func (m Model) Loss(e Example) float64 {
	switch {
	case m.Task == Regression:
		return math.Abs(e.Value - e.Found)
	case m.Scored && m.Positive != "":
		d := e.Score
		if e.Actual == m.Positive {
			d--
		}
		return d * d
	case m.hit(e):
		return 0
	}
	return 1
}

// Measure measures examples, which are those of predictions whose outcome is known.
func (m Model) Measure(predictions int64, examples []Example) *Measures {
	out := &Measures{Coverage: Share(int64(len(examples)), predictions)}
	losses := make([]float64, len(examples))
	for i, e := range examples {
		losses[i] = m.Loss(e)
	}
	out.Loss = Mean(losses)
	if m.Task == Regression {
		m.regression(out, examples)
		return out
	}
	var right, truePositive, predictedPositive, positive int64
	var scores, logs, briers []float64
	var positives []bool
	for _, e := range examples {
		if m.hit(e) {
			right++
		}
		if m.Positive == "" {
			continue
		}
		is := e.Actual == m.Positive
		said := e.Predicted == m.Positive || e.Predicted == "" && e.Score >= 0.5
		if is {
			positive++
		}
		if said {
			predictedPositive++
		}
		if is && said {
			truePositive++
		}
		if math.IsNaN(e.Score) {
			continue
		}
		chance := e.Score
		if !is {
			chance = 1 - chance
		}
		scores, positives = append(scores, e.Score), append(positives, is)
		logs, briers = append(logs, -math.Log(max(chance, leastChance))), append(briers, (1-chance)*(1-chance))
	}
	out.Accuracy = Share(right, int64(len(examples)))
	out.Precision, out.Recall = Share(truePositive, predictedPositive), Share(truePositive, positive)
	out.AUC, out.LogLoss, out.Brier = AUC(scores, positives), Mean(logs), Mean(briers)
	return out
}

func (m Model) regression(out *Measures, examples []Example) {
	errors, distances := make([]float64, len(examples)), make([]float64, len(examples))
	for i, e := range examples {
		errors[i] = e.Value - e.Found
		distances[i] = math.Abs(errors[i])
	}
	out.MAE, out.RMSE, out.Bias = Mean(distances), RMSE(errors), Mean(errors)
}
