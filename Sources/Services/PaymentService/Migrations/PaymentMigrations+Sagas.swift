extension PaymentMigrations {
  /// Migration 101.
  static let sagas: StaticString = """
    -- The sagas themselves: every intent, call, answer and compensation, in order. (claimed_at, saga_id, seq) is unique however
    -- many processes write, so that two can never both append the same event. claimed_at is the payment's, the same in every row
    -- of a saga: it selects the month, and keeps the rows of a saga together.
    CREATE TABLE payment.saga_log (
      saga_id uuid NOT NULL,
      seq integer NOT NULL CHECK (seq > 0),
      claimed_at timestamptz NOT NULL,
      written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      kind text NOT NULL,
      step smallint,
      step_name text,
      attempt integer,
      outcome text,
      reason text,
      detail text,
      step_id uuid,
      request bytea,
      compensation_id uuid,
      compensation_request bytea,
      definition text,
      version integer,
      -- Who wrote it, and under which lease.
      owner uuid NOT NULL,
      epoch bigint NOT NULL,
      trace_id text,
      PRIMARY KEY (claimed_at, saga_id, seq)
    ) PARTITION BY RANGE (claimed_at);

    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment.saga_log
      FOR EACH STATEMENT EXECUTE FUNCTION payment.refuse_change();
    -- Also for those who name a partition.
    CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON payment.saga_log
      FOR EACH ROW EXECUTE FUNCTION payment.refuse_change();

    -- Makes the partitions of this month, the one before, and `ahead` more; returns how many it made. A missing month stops
    -- payments, so this runs at start and every hour.
    CREATE FUNCTION payment.ensure_saga_log_months(ahead integer DEFAULT 3) RETURNS integer
      LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      made integer := 0;
      start date;
      partition text;
    BEGIN
      IF ahead NOT BETWEEN 0 AND 24 THEN RAISE EXCEPTION 'ahead must be 0 to 24 months, not %', ahead; END IF;
      PERFORM pg_advisory_xact_lock(hashtextextended('payment.saga_log months', 0));
      FOR i IN -1..ahead LOOP
        start := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
        partition := 'saga_log_' || to_char(start, 'YYYY_MM');
        CONTINUE WHEN to_regclass(format('payment.%I', partition)) IS NOT NULL;
        EXECUTE format('CREATE TABLE payment.%I PARTITION OF payment.saga_log FOR VALUES FROM (%L) TO (%L)',
          partition, start || ' 00:00:00+00', (start + interval '1 month')::date || ' 00:00:00+00');
        EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON payment.%I '
          'FOR EACH STATEMENT EXECUTE FUNCTION payment.refuse_change()', partition);
        made := made + 1;
      END LOOP;
      RETURN made;
    END $$;
    REVOKE ALL ON FUNCTION payment.ensure_saga_log_months(integer) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION payment.ensure_saga_log_months(integer) TO payment_service;
    SELECT payment.ensure_saga_log_months();

    -- Who runs each open saga. The row goes when the saga ends. `epoch` counts the owners: every write to the log names the
    -- epoch it was made under, and is refused if there has been another owner since.
    CREATE TABLE payment.saga_leases (
      saga_id uuid PRIMARY KEY,
      claimed_at timestamptz NOT NULL,
      owner uuid NOT NULL,
      epoch bigint NOT NULL CHECK (epoch > 0),
      lease_until timestamptz NOT NULL,
      next_attempt_at timestamptz NOT NULL,
      -- Contacts since the saga last got on.
      attempts integer NOT NULL DEFAULT 0,
      last_seq integer NOT NULL,
      state text NOT NULL CHECK (state IN ('running', 'manual', 'quarantined')),
      -- Where the saga stands, in words.
      summary text NOT NULL,
      reason text NOT NULL DEFAULT ''
    ) WITH (fillfactor = 60);
    CREATE INDEX saga_leases_due ON payment.saga_leases (next_attempt_at) WHERE state <> 'manual';

    GRANT SELECT, INSERT ON payment.saga_log TO payment_service;
    GRANT SELECT, INSERT, UPDATE, DELETE ON payment.saga_leases TO payment_service;
    """

  /// Migration 102.
  static let views: StaticString = """
    -- For people: where every payment stands.
    CREATE VIEW payment.payment_states AS
      SELECT p.payment_id, p.payer_account_id, p.payee_account_id, p.amount, p.currency, p.claimed_at,
        -- Neither outcome nor lease would mean that something was lost: nobody may take that for "under way".
        coalesce(o.state, CASE l.state WHEN 'running' THEN 'ACCEPTED' ELSE 'MANUAL' END, 'MANUAL') AS state,
        coalesce(o.reason, l.reason, 'saga_missing') AS reason, o.finished_at,
        p.caller, p.method, p.idempotency_key, p.traceparent
      FROM payment.payments p
      LEFT JOIN payment.payment_outcomes o USING (payment_id)
      LEFT JOIN payment.saga_leases l ON l.saga_id = p.payment_id;

    -- For people: the story of a saga, without the frozen bytes.
    CREATE VIEW payment.saga_history AS
      SELECT p.payment_id, g.seq, g.written_at, g.kind, g.step, g.step_name, g.attempt, g.outcome, g.reason, g.detail, g.step_id,
        g.compensation_id, g.owner, g.epoch, g.trace_id
      FROM payment.payments p
      JOIN payment.saga_log g ON g.claimed_at = p.claimed_at AND g.saga_id = p.payment_id;

    GRANT SELECT ON payment.payment_states, payment.saga_history TO payment_service;
    """
}
