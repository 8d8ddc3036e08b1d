extension PaymentMigrations {
  /// Migration 100.
  static let paymentsAndKeys: StaticString = """
    GRANT USAGE ON SCHEMA payment TO payment_service;

    CREATE FUNCTION payment.refuse_change() RETURNS trigger
      LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      RAISE EXCEPTION 'payment.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege',
          HINT = 'What was written stays; a correction is a new row.';
    END $$;

    -- What was asked for. A row is the permanent proof that its idempotency key was used: payment_id is UUIDv5 of (caller, method, key).
    CREATE TABLE payment.payments (
      payment_id uuid PRIMARY KEY,
      caller text NOT NULL,
      method text NOT NULL,
      idempotency_key uuid NOT NULL,
      payer_account_id text NOT NULL,
      payee_account_id text NOT NULL,
      amount bigint NOT NULL CHECK (amount > 0),
      currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
      claimed_at timestamptz NOT NULL,
      traceparent text,
      CHECK (payer_account_id <> payee_account_id)
    );
    COMMENT ON TABLE payment.payments IS 'One row per payment, never changed. amount: minor units of currency.';
    CREATE INDEX payments_by_time ON payment.payments (claimed_at DESC, payment_id);

    -- How it ended. COMPLETED, DECLINED or COMPENSATED, once; no row: under way, or waiting for a person.
    CREATE TABLE payment.payment_outcomes (
      payment_id uuid PRIMARY KEY REFERENCES payment.payments,
      claimed_at timestamptz NOT NULL,
      state text NOT NULL CHECK (state IN ('COMPLETED', 'DECLINED', 'COMPENSATED')),
      reason text NOT NULL CHECK ((state = 'COMPLETED') = (reason = '')),
      finished_at timestamptz NOT NULL
    );
    CREATE INDEX payment_outcomes_by_state ON payment.payment_outcomes (state, claimed_at DESC);

    -- The reply to each key, for as long as it is kept. Mutable once: from no reply to the reply.
    CREATE TABLE payment.idempotency_keys (
      key uuid NOT NULL,
      response bytea,
      status_code integer,
      created_at timestamptz NOT NULL,
      expires_at timestamptz,
      caller text NOT NULL,
      method text NOT NULL,
      fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
      payment_id uuid NOT NULL,
      finished_at timestamptz,
      PRIMARY KEY (key, caller, method),
      CHECK (num_nulls(response, status_code, finished_at, expires_at) IN (0, 4)),
      CONSTRAINT expires_24_to_48_hours_after_the_terminal_state
        CHECK (expires_at - finished_at BETWEEN interval '24 hours' AND interval '48 hours')
    );
    CREATE INDEX idempotency_keys_by_expiry ON payment.idempotency_keys (expires_at) WHERE expires_at IS NOT NULL;

    CREATE FUNCTION payment.guard_idempotency_key() RETURNS trigger
      LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        IF OLD.expires_at IS NULL OR OLD.expires_at > clock_timestamp() THEN
          RAISE EXCEPTION 'an idempotency key is kept until it expires' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN OLD;
      END IF;
      IF OLD.response IS NOT NULL THEN
        RAISE EXCEPTION 'the reply to an idempotency key is final' USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON payment.idempotency_keys
      FOR EACH ROW EXECUTE FUNCTION payment.guard_idempotency_key();

    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment.payments
      FOR EACH STATEMENT EXECUTE FUNCTION payment.refuse_change();
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment.payment_outcomes
      FOR EACH STATEMENT EXECUTE FUNCTION payment.refuse_change();

    GRANT SELECT, INSERT ON payment.payments, payment.payment_outcomes TO payment_service;
    GRANT SELECT, INSERT, DELETE ON payment.idempotency_keys TO payment_service;
    GRANT UPDATE (response, status_code, finished_at, expires_at) ON payment.idempotency_keys TO payment_service;
    """
}
