package lineage

// What Check asks. Each query gives node, found and expected, in an order.

// anyRun is a run r of v that may have no sequence, which is no node.
const anyRun = `coalesce('run:' || v.ref || '/' || r.seq, 'run id ' || r.id)`

// runQuestions are about the runs of a view version v.
var runQuestions = []string{
	// A run that is published is in the log, and what is in the log is a run that is.
	`SELECT 'run:' || v.ref || '/' || r.seq, coalesce('sequence ' || p.seq || ' at position ' || p.position || ' of the publish log', 'nothing in the publish log'),
		'sequence ' || r.seq || ' at position ' || r.position
	FROM v JOIN headwater.run r ON r.view_id = v.id LEFT JOIN headwater.publish_log p ON p.run_id = r.id
	WHERE r.state = 'published' AND (p.position, p.view_id, p.seq) IS DISTINCT FROM (r.position, r.view_id, r.seq) ORDER BY r.seq`,
	`SELECT 'run:' || v.ref || '/' || p.seq, coalesce('a run that is ' || r.state, 'no run'), 'the one that position ' || p.position || ' of the publish log is of'
	FROM v JOIN headwater.publish_log p ON p.view_id = v.id LEFT JOIN headwater.run r ON r.id = p.run_id
	WHERE r.state IS DISTINCT FROM 'published' ORDER BY p.seq`,
	// It was of the definition, and is behind the view at some sequences.
	`SELECT 'run:' || v.ref || '/' || r.seq, 'fingerprint ' || encode(r.fingerprint, 'hex'), 'that of the definition, ' || encode(d.fingerprint, 'hex')
	FROM v JOIN headwater.run r ON r.view_id = v.id JOIN headwater.definition d ON d.id = r.view_id
	WHERE r.state = 'published' AND r.fingerprint <> d.fingerprint ORDER BY r.seq`,
	`SELECT 'run:' || v.ref || '/' || r.seq, 'no sequences at which it is behind its view', 'some'
	FROM v JOIN headwater.run r ON r.view_id = v.id LEFT JOIN headwater.run_span s ON s.run_id = r.id AND s.view_id = r.view_id AND s.seq = r.seq
	WHERE r.state = 'published' AND s.run_id IS NULL ORDER BY r.seq`,
	// It says what it read of everything that the definition reads.
	`SELECT 'run:' || v.ref || '/' || r.seq, 'nothing of what it read of source ' || s.name, 'what it read of each source of the definition'
	FROM v JOIN headwater.run r ON r.view_id = v.id CROSS JOIN unnest(v.sources) AS s (name)
	WHERE r.state = 'published' AND NOT EXISTS (SELECT FROM headwater.run_input i WHERE i.run_id = r.id AND i.source = s.name) ORDER BY r.seq, s.name`,
	`SELECT 'run:' || v.ref || '/' || r.seq, 'nothing of what it read of view ' || s.name, 'what it read of each view of the definition'
	FROM v JOIN headwater.run r ON r.view_id = v.id CROSS JOIN unnest(v.views) AS s (name)
	WHERE r.state = 'published' AND NOT EXISTS (
		SELECT FROM headwater.run_view_input i JOIN headwater.definition d ON d.id = i.view_id WHERE i.run_id = r.id AND d.name = s.name)
	ORDER BY r.seq, s.name`,
	// What it says that it read is there.
	`SELECT 'run:' || v.ref || '/' || r.seq, 'version ' || i.source_version || ' of source ' || i.source || ' with fingerprint ' || encode(i.source_fingerprint, 'hex'),
		coalesce('that of the definition, ' || encode(d.fingerprint, 'hex'), 'a definition of that version')
	FROM v JOIN headwater.run r ON r.view_id = v.id JOIN headwater.run_input i ON i.run_id = r.id
	LEFT JOIN headwater.definition d ON d.kind = 'source' AND d.name = i.source AND d.version = i.source_version
	WHERE d.fingerprint IS DISTINCT FROM i.source_fingerprint ORDER BY r.seq, i.source`,
	`SELECT ` + anyRun + `, 'rows read of load ' || rl.load_id || coalesce(' of source ' || l.source, ', which is not there'), 'a load of a source that it read'
	FROM v JOIN headwater.run r ON r.view_id = v.id JOIN headwater.run_load rl ON rl.run_id = r.id LEFT JOIN headwater.load l ON l.id = rl.load_id
	WHERE NOT EXISTS (SELECT FROM headwater.run_input i WHERE i.run_id = r.id AND i.source = l.source) ORDER BY r.seq, rl.load_id`,
	`SELECT ` + anyRun + `, 'loads of source ' || i.source || ': ' || count(l.id), i.loads || ', as it counted them'
	FROM v JOIN headwater.run r ON r.view_id = v.id JOIN headwater.run_input i ON i.run_id = r.id
	LEFT JOIN headwater.run_load rl ON rl.run_id = r.id LEFT JOIN headwater.load l ON l.id = rl.load_id AND l.source = i.source
	GROUP BY v.ref, r.id, r.seq, i.source, i.loads HAVING count(l.id) <> i.loads ORDER BY r.seq, i.source`,
	`SELECT ` + anyRun + `, 'rows read as of sequence ' || i.seq || ' of ' || coalesce(d.name || '@' || d.version, 'a view version that is not there'),
		'a published run of it'
	FROM v JOIN headwater.run r ON r.view_id = v.id JOIN headwater.run_view_input i ON i.run_id = r.id LEFT JOIN headwater.definition d ON d.id = i.view_id
	LEFT JOIN headwater.publish_log p ON p.view_id = i.view_id AND p.seq = i.seq
	WHERE p.run_id IS NULL OR d.id IS NULL ORDER BY r.seq, i.view_id`,
	// Values that were given out were written by runs.
	`SELECT 'run:' || v.ref || '/' || c.run_seq, 'logged reads of service ' || c.service || ' that had rows of it: ' || sum(c.reads), 'a published run'
	FROM v JOIN headwater.read_log_count c ON c.view || '@' || c.view_version = v.ref LEFT JOIN headwater.publish_log p ON p.view_id = v.id AND p.seq = c.run_seq
	WHERE c.run_seq > 0 AND p.run_id IS NULL GROUP BY v.ref, c.run_seq, c.service ORDER BY c.run_seq, c.service`,
	// What its columns are made of are columns.
	`SELECT DISTINCT 'view:' || v.ref || CASE e.to_column WHEN '' THEN '' ELSE '#' || e.to_column END,
		'made of ' || coalesce('source:' || e.from_source, 'view:' || f.name || '@' || f.version, 'a view version that is not there') || '#' || e.from_column, 'columns that are there'
	FROM v JOIN headwater.column_edge e ON e.definition_id = v.id AND e.to_source IS NULL LEFT JOIN headwater.definition f ON f.id = e.from_view
	WHERE NOT EXISTS (SELECT FROM headwater.definition_column c WHERE c.definition_id = e.definition_id AND c.name = e.to_column)
		OR e.from_view IS NOT NULL AND NOT EXISTS (SELECT FROM headwater.definition_column c WHERE c.definition_id = e.from_view AND c.name = e.from_column)
		OR e.from_source IS NOT NULL AND NOT EXISTS (
			SELECT FROM headwater.definition d JOIN headwater.definition_column c ON c.definition_id = d.id
			WHERE d.kind = 'source' AND d.name = e.from_source AND c.name = e.from_column)
	ORDER BY 1, 2`,
	`SELECT 'view:' || v.ref, 'no edge from source ' || s.name, 'one from each source of the definition' FROM v CROSS JOIN unnest(v.sources) AS s (name)
	WHERE NOT EXISTS (SELECT FROM headwater.definition_input i WHERE i.definition_id = v.id AND i.source = s.name AND i.valid_to = 'infinity') ORDER BY s.name`,
	`SELECT 'view:' || v.ref, 'no edge from view ' || s.name, 'one from each view of the definition' FROM v CROSS JOIN unnest(v.views) AS s (name)
	WHERE NOT EXISTS (SELECT FROM headwater.definition_input i JOIN headwater.definition d ON d.id = i.view_id
		WHERE i.definition_id = v.id AND d.name = s.name AND i.valid_to = 'infinity') ORDER BY s.name`,
}

// datasetQuestions are about the datasets whose ids are in $1. Of one that was deleted only the manifest is there.
var datasetQuestions = []string{
	`SELECT 'dataset:' || s.id, 'position ' || s.position, 'at most that of the last publication, ' || h.position
	FROM headwater.dataset s, headwater.publish_head h WHERE s.id = ANY ($1) AND s.position > h.position ORDER BY s.id`,
	`SELECT 'dataset:' || s.id, 'service ' || s.service || '@' || s.service_version, 'a definition of that version'
	FROM headwater.dataset s WHERE s.id = ANY ($1) AND s.service <> '' AND NOT EXISTS (
		SELECT FROM headwater.definition d WHERE d.kind = 'service' AND d.name = s.service AND d.version = s.service_version) ORDER BY s.id`,
	`SELECT DISTINCT 'dataset:' || s.id, 'made of ' || (m.view ->> 'view') || '@' || (m.view ->> 'version'), 'a definition of that version'
	FROM headwater.dataset s CROSS JOIN LATERAL (
		SELECT jsonb_array_elements(CASE jsonb_typeof(s.manifest -> k) WHEN 'array' THEN s.manifest -> k END) FROM unnest(ARRAY['views', 'on_demand']) AS k
	) AS m (view)
	WHERE s.id = ANY ($1) AND NOT EXISTS (
		SELECT FROM headwater.definition d WHERE d.kind = 'view' AND d.name = m.view ->> 'view' AND d.version = (m.view ->> 'version')::int) ORDER BY 1, 2`,
	`SELECT DISTINCT 'dataset:' || s.id, 'read as of sequence ' || (m.view ->> 'seq') || ' of ' || (m.view ->> 'view') || '@' || (m.view ->> 'version'),
		coalesce('sequence ' || sv.seq || ', as its lineage says', CASE WHEN d.id IS NULL OR sv.dataset_id IS NOT NULL THEN 'a published run of it' ELSE 'its lineage to say so' END)
	FROM headwater.dataset s
	CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(s.manifest -> 'views') WHEN 'array' THEN s.manifest -> 'views' END) AS m (view)
	JOIN headwater.definition d ON d.kind = 'view' AND d.name = m.view ->> 'view' AND d.version = (m.view ->> 'version')::int
	LEFT JOIN headwater.dataset_view sv ON sv.dataset_id = s.id AND sv.view_id = d.id
	WHERE s.id = ANY ($1) AND s.state <> 'deleted' AND (m.view ->> 'seq')::bigint > 0 AND sv.seq IS DISTINCT FROM (m.view ->> 'seq')::bigint ORDER BY 1, 2`,
	`SELECT 'dataset:' || s.dataset_id, 'rows of sequence ' || s.seq || ' of ' || coalesce(d.name || '@' || d.version, 'a view version that is not there'), 'a published run of it'
	FROM headwater.dataset_view s LEFT JOIN headwater.definition d ON d.id = s.view_id LEFT JOIN headwater.publish_log p ON p.view_id = s.view_id AND p.seq = s.seq
	WHERE s.dataset_id = ANY ($1) AND (d.id IS NULL OR s.seq > 0 AND p.run_id IS NULL) ORDER BY s.dataset_id, s.view_id`,
	`SELECT 'dataset:' || s.dataset_id, 'a spine read from source ' || s.source, 'a source of that name'
	FROM headwater.dataset_source s WHERE s.dataset_id = ANY ($1) AND NOT EXISTS (
		SELECT FROM headwater.definition d WHERE d.kind = 'source' AND d.name = s.source) ORDER BY 1, 2`,
	`SELECT 'dataset:' || s.dataset_id, 'a spine read from load ' || s.load_id || coalesce(' of source ' || l.source, ', which is not there'), 'a load of a source that it read'
	FROM headwater.dataset_load s LEFT JOIN headwater.load l ON l.id = s.load_id
	WHERE s.dataset_id = ANY ($1) AND NOT EXISTS (SELECT FROM headwater.dataset_source o WHERE o.dataset_id = s.dataset_id AND o.source = l.source)
	ORDER BY s.dataset_id, s.load_id`,
	`SELECT 'dataset:' || s.dataset_id, 'feature ' || coalesce(d.name || '@' || d.version, 'of a view version that is not there') || '.' || s.feature, 'a feature of that name'
	FROM headwater.dataset_feature s LEFT JOIN headwater.definition d ON d.id = s.view_id
	WHERE s.dataset_id = ANY ($1) AND NOT EXISTS (
		SELECT FROM headwater.definition_column c WHERE c.definition_id = s.view_id AND c.name = s.feature AND c.role = 'feature') ORDER BY s.dataset_id, s.view_id, s.feature`,
}

// systemQuestions are about what is of no view version and no dataset that there is.
var systemQuestions = []string{
	`SELECT 'table headwater_history.' || c.relname, 'a history of no definition', 'a view version of that name'
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'headwater_history'
	WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT EXISTS (
		SELECT FROM headwater.definition d WHERE d.kind = 'view' AND d.name || '_v' || d.version = c.relname) ORDER BY 1`,
	`SELECT 'run id ' || r.id, 'a run of view version id ' || r.view_id, 'a definition of that id'
	FROM headwater.run r WHERE NOT EXISTS (SELECT FROM headwater.definition d WHERE d.id = r.view_id AND d.kind = 'view') ORDER BY r.id`,
	`SELECT 'run id ' || o.run_id, o.what, 'a run of that id' FROM (
		SELECT run_id, 'sequences at which it is behind its view' AS what FROM headwater.run_span
		UNION SELECT run_id, 'rows that it corrected' FROM headwater.run_correction UNION SELECT corrected_id, 'rows of it that were corrected' FROM headwater.run_correction
		UNION SELECT run_id, 'what it read of a source' FROM headwater.run_input UNION SELECT run_id, 'rows that it read of a load' FROM headwater.run_load
		UNION SELECT run_id, 'what it read of a view' FROM headwater.run_view_input UNION SELECT run_id, 'position ' || position || ' of the publish log' FROM headwater.publish_log
	) o WHERE NOT EXISTS (SELECT FROM headwater.run r WHERE r.id = o.run_id) ORDER BY o.run_id, o.what`,
	`SELECT 'definition id ' || o.id, o.what, 'a definition of that id' FROM (
		SELECT definition_id AS id, 'columns' AS what FROM headwater.definition_column UNION SELECT definition_id, 'what it reads' FROM headwater.definition_input
		UNION SELECT view_id, 'what reads it' FROM headwater.definition_input WHERE view_id IS NOT NULL
		UNION SELECT definition_id, 'what its columns are made of' FROM headwater.column_edge
		UNION SELECT definition_id, 'what it reads outside' FROM headwater.consumer_input
		UNION SELECT from_view, 'what is made of its columns' FROM headwater.column_edge WHERE from_view IS NOT NULL
	) o WHERE NOT EXISTS (SELECT FROM headwater.definition d WHERE d.id = o.id) ORDER BY o.id, o.what`,
	`SELECT 'source:' || s.source, 'loads of it', 'a source of that name'
	FROM headwater.landing s WHERE s.last_number > 0 AND NOT EXISTS (SELECT FROM headwater.definition d WHERE d.kind = 'source' AND d.name = s.source) ORDER BY 1`,
	`SELECT 'run:' || c.view || '@' || c.view_version || '/' || c.run_seq, 'logged reads of service ' || c.service || ' that had rows of it: ' || sum(c.reads), 'a view version of that name'
	FROM headwater.read_log_count c WHERE NOT EXISTS (SELECT FROM headwater.definition d WHERE d.kind = 'view' AND d.name = c.view AND d.version = c.view_version)
	GROUP BY c.view, c.view_version, c.run_seq, c.service ORDER BY 1, c.service`,
	// Logged reads are counted by day, and models of predictions are looked up one after the other: neither reads all of what is logged.
	`SELECT 'predictions:' || c.service || '@' || c.service_version, 'logged reads that had rows of runs, of ' || count(DISTINCT c.day) || ' days', 'a service version of that name'
	FROM headwater.read_log_count c WHERE NOT EXISTS (SELECT FROM headwater.definition d WHERE d.kind = 'service' AND d.name = c.service AND d.version = c.service_version)
	GROUP BY c.service, c.service_version ORDER BY 1`,
	`WITH RECURSIVE predicted AS (
		SELECT min(model) AS model FROM headwater.prediction
		UNION ALL SELECT (SELECT min(p.model) FROM headwater.prediction p WHERE p.model > l.model) FROM predicted l WHERE l.model IS NOT NULL
	) SELECT 'model:' || p.model, 'predictions of it', 'a model of that name' FROM predicted p
	WHERE p.model IS NOT NULL AND NOT EXISTS (SELECT FROM headwater.model m WHERE m.name = p.model) ORDER BY 1`,
	`SELECT 'consumer:' || d.name || '@' || d.version, n.noted || ' edges from what it reads', w.wanted || ', as its definition says'
	FROM (SELECT DISTINCT ON (name) * FROM headwater.definition WHERE kind = 'consumer' ORDER BY name, version DESC) d
	CROSS JOIN LATERAL (SELECT count(*) AS noted FROM headwater.consumer_input i WHERE i.definition_id = d.id AND i.valid_to = 'infinity') n
	CROSS JOIN LATERAL (SELECT count(*) AS wanted FROM jsonb_each(d.body -> 'consumers' -> 0 -> 'reads') AS l (kind, list), jsonb_array_elements(l.list)
		WHERE NOT coalesce((SELECT c.change = 'remove' FROM headwater.definition_change c WHERE c.kind = 'consumer' AND c.name = d.name
			AND c.change IN ('remove', 'retire', 'revive') ORDER BY c.id DESC LIMIT 1), false)) w
	WHERE n.noted <> w.wanted ORDER BY 1`,
	`SELECT 'model:' || m.name || '@' || m.version, CASE WHEN s.id IS NULL THEN 'a service that is not there' ELSE 'dataset ' || m.dataset_id || ', which is not there' END,
		'what it was registered with'
	FROM headwater.model m LEFT JOIN headwater.definition s ON s.id = m.service_id AND s.kind = 'service'
	WHERE s.id IS NULL OR m.dataset_id IS NOT NULL AND NOT EXISTS (SELECT FROM headwater.dataset d WHERE d.id = m.dataset_id) ORDER BY 1`,
}
