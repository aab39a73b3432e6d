package openlineage

import (
	"net/url"
	"time"
)

type schemaFacet struct {
	base
	Fields []schemaField `json:"fields"`
}

type schemaField struct {
	Name        string `json:"name"`
	Type        string `json:"type,omitempty"`
	Description string `json:"description,omitempty"`
}

func (m maker) schema(fields []schemaField) schemaFacet {
	return schemaFacet{m.is("1-2-0/SchemaDatasetFacet"), fields}
}

type dataSourceFacet struct {
	base
	Name string `json:"name"`
	URI  string `json:"uri"`
}

func (m maker) dataSource(namespace string) dataSourceFacet {
	return dataSourceFacet{m.is("1-0-1/DatasourceDatasetFacet"), namespace, namespace}
}

type typeFacet struct {
	base
	DatasetType string `json:"datasetType"`
	SubType     string `json:"subType,omitempty"`
}

func (m maker) datasetType(kind, sub string) typeFacet {
	return typeFacet{m.is("1-0-1/DatasetTypeDatasetFacet"), kind, sub}
}

type versionFacet struct {
	base
	Version string `json:"datasetVersion"`
}

func (m maker) version(v string) versionFacet {
	return versionFacet{m.is("1-0-1/DatasetVersionDatasetFacet"), v}
}

type ownershipFacet struct {
	base
	Owners []owner `json:"owners"`
}

type owner struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type documentationFacet struct {
	base
	Description string `json:"description"`
}

type tagsFacet struct {
	base
	Tags []tag `json:"tags"`
}

type tag struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
	// Field is the column that has it. Empty: the whole has.
	Field string `json:"field,omitempty"`
}

// words adds what a definition says for people: of is Dataset or Job. fields are tags of columns.
func (m maker) words(to Facets, of, description, ownedBy string, tags []string, fields []tag) {
	if description != "" {
		to["documentation"] = documentationFacet{m.is("1-1-0/Documentation" + of + "Facet"), description}
	}
	if ownedBy != "" {
		to["ownership"] = ownershipFacet{m.is("1-0-1/Ownership" + of + "Facet"), []owner{{ownedBy, "OWNER"}}}
	}
	var all []tag
	for _, t := range tags {
		all = append(all, tag{Key: t, Value: "true", Source: integration})
	}
	if all = append(all, fields...); len(all) > 0 {
		to["tags"] = tagsFacet{m.is("1-0-0/Tags" + of + "Facet"), all}
	}
}

type sqlFacet struct {
	base
	Query   string `json:"query"`
	Dialect string `json:"dialect"`
}

func (m maker) sql(query string) sqlFacet {
	return sqlFacet{m.is("1-1-0/SQLJobFacet"), query, "postgres"}
}

type codeLocationFacet struct {
	base
	Type string `json:"type"`
	URL  string `json:"url"`
}

// codeLocation is where definitions came from, when that is a URL: without who may go there, and what for.
func (m maker) codeLocation(origin string) (codeLocationFacet, bool) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return codeLocationFacet{}, false
	}
	u.User, u.RawQuery, u.ForceQuery = nil, "", false
	return codeLocationFacet{m.is("1-1-0/SourceCodeLocationJobFacet"), "git", u.String()}, true
}

// integration names us in what events say of where they come from.
const integration = "HEADWATER"

type jobTypeFacet struct {
	base
	ProcessingType string `json:"processingType"`
	Integration    string `json:"integration"`
	JobType        string `json:"jobType"`
}

func (m maker) jobType(kind string) jobTypeFacet {
	return jobTypeFacet{m.is("2-0-4/JobTypeJobFacet"), "BATCH", integration, kind}
}

type parentFacet struct {
	base
	Run  Run        `json:"run"`
	Job  Job        `json:"job"`
	Root parentRoot `json:"root"`
}

type parentRoot struct {
	Run Run `json:"run"`
	Job Job `json:"job"`
}

func (m maker) parent(run string, job Name) parentFacet {
	r, j := Run{RunID: run}, Job{Namespace: job.Namespace, Name: job.Name}
	return parentFacet{m.is("1-2-0/ParentRunFacet"), r, j, parentRoot{r, j}}
}

type nominalTimeFacet struct {
	base
	Start string `json:"nominalStartTime"`
	End   string `json:"nominalEndTime,omitempty"`
}

func (m maker) nominalTime(from, to time.Time) nominalTimeFacet {
	return nominalTimeFacet{m.is("1-0-1/NominalTimeRunFacet"), calendar(from), calendar(to)}
}

type engineFacet struct {
	base
	Version        string `json:"version"`
	Name           string `json:"name"`
	AdapterVersion string `json:"openlineageAdapterVersion"`
}

func (m maker) engine(version string) engineFacet {
	return engineFacet{m.is("1-1-1/ProcessingEngineRunFacet"), version, "headwater", version}
}

type errorFacet struct {
	base
	Message  string `json:"message"`
	Language string `json:"programmingLanguage"`
}

func (m maker) failure(message string) errorFacet {
	return errorFacet{m.is("1-0-1/ErrorMessageRunFacet"), message, "Go"}
}

type statisticsFacet struct {
	base
	Rows int64 `json:"rowCount"`
}

func (m maker) readRows(n int64) statisticsFacet {
	return statisticsFacet{m.is("1-0-0/InputStatisticsInputDatasetFacet"), n}
}

func (m maker) wroteRows(n int64) statisticsFacet {
	return statisticsFacet{m.is("1-0-2/OutputStatisticsOutputDatasetFacet"), n}
}

type metricsFacet struct {
	base
	Rows    int64                    `json:"rowCount"`
	Columns map[string]columnMetrics `json:"columnMetrics"`
}

type columnMetrics struct {
	Nulls *int64 `json:"nullCount,omitempty"`
}

func (m maker) metrics(rows int64) metricsFacet {
	return metricsFacet{m.is("1-0-3/DataQualityMetricsInputDatasetFacet"), rows, map[string]columnMetrics{}}
}

func (m maker) outputMetrics(rows int64, columns map[string]columnMetrics) metricsFacet {
	return metricsFacet{m.is("1-0-0/DataQualityMetricsDatasetFacet"), rows, columns}
}

type assertionsFacet struct {
	base
	Assertions []assertion `json:"assertions"`
}

type assertion struct {
	Assertion string `json:"assertion"`
	Success   bool   `json:"success"`
	Severity  string `json:"severity"`
	Expected  string `json:"expected,omitempty"`
	Actual    string `json:"actual,omitempty"`
}

func (m maker) assertions(list []assertion) assertionsFacet {
	return assertionsFacet{m.is("1-1-0/DataQualityAssertionsDatasetFacet"), list}
}

type testFacet struct {
	base
	Tests []test `json:"tests"`
}

type test struct {
	Name     string `json:"name"`
	Status   string `json:"status"`
	Severity string `json:"severity"`
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
}

func (m maker) tests(list []test) testFacet { return testFacet{m.is("1-0-1/TestRunFacet"), list} }

type columnLineageFacet struct {
	base
	Fields  map[string]fieldLineage `json:"fields"`
	Dataset []inputField            `json:"dataset,omitempty"`
}

type fieldLineage struct {
	InputFields []inputField `json:"inputFields"`
}

type inputField struct {
	Namespace       string           `json:"namespace"`
	Name            string           `json:"name"`
	Field           string           `json:"field"`
	Transformations []transformation `json:"transformations"`
}

type transformation struct {
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
}

type lineageFacet struct {
	base
	Entries []lineageEntry `json:"entries"`
}

type lineageEntry struct {
	Namespace string                  `json:"namespace"`
	Name      string                  `json:"name"`
	Type      string                  `json:"type"`
	Inputs    []lineageInput          `json:"inputs"`
	Fields    map[string]lineageField `json:"fields,omitempty"`
}

type lineageField struct {
	Inputs []lineageInput `json:"inputs"`
}

type lineageInput struct {
	Namespace       string           `json:"namespace"`
	Name            string           `json:"name"`
	Type            string           `json:"type"`
	Field           string           `json:"field,omitempty"`
	Transformations []transformation `json:"transformations,omitempty"`
}

// lineage says the same of a job as columnLineage does of what it writes: in the facet that takes the other's place.
func (m maker) lineage(output Name, inputs []Name, columns columnLineageFacet) lineageFacet {
	entry := lineageEntry{Namespace: output.Namespace, Name: output.Name, Type: "DATASET", Inputs: []lineageInput{}, Fields: map[string]lineageField{}}
	for _, in := range inputs {
		entry.Inputs = append(entry.Inputs, lineageInput{Namespace: in.Namespace, Name: in.Name, Type: "DATASET"})
	}
	of := func(in inputField) lineageInput {
		return lineageInput{in.Namespace, in.Name, "DATASET", in.Field, in.Transformations}
	}
	for _, in := range columns.Dataset {
		entry.Inputs = append(entry.Inputs, of(in))
	}
	for name, field := range columns.Fields {
		list := make([]lineageInput, len(field.InputFields))
		for i, in := range field.InputFields {
			list[i] = of(in)
		}
		entry.Fields[name] = lineageField{list}
	}
	return lineageFacet{m.definedIn("1-0-0/LineageFacet", "LineageJobFacet"), []lineageEntry{entry}}
}
