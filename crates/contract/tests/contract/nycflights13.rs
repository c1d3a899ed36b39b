//! The ready-made contracts compile and judge rows of the real data.

use std::path::Path;

use intelgraph_contract::{Contract, Report, ReportLimits};

use crate::fixtures::{compiled, on_tape};

fn contract(table: &str) -> Contract {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/nycflights13");
    compiled(&std::fs::read(directory.join(format!("{table}.json"))).unwrap())
}

fn rules(contract: &Contract, record: &str) -> Vec<(String, String)> {
    let mut report = Report::new(contract, ReportLimits::default());
    on_tape(record, |record| contract.explain(0, record, &mut report));
    report.rows().map(|row| (row.instance.clone(), row.rule.clone())).collect()
}

const FLIGHT: &str = r#"{"year":2013,"month":1,"day":1,"dep_time":517,"sched_dep_time":515,"dep_delay":2,"arr_time":830,"sched_arr_time":819,"arr_delay":11,"carrier":"UA","flight":1545,"tailnum":"N14228","origin":"EWR","dest":"IAH","air_time":227,"distance":1400,"hour":5,"minute":15,"time_hour":"2013-01-01T10:00:00Z"}"#;
const CANCELLED: &str = r#"{"year":2013,"month":1,"day":2,"dep_time":null,"sched_dep_time":1545,"dep_delay":null,"arr_time":null,"sched_arr_time":1910,"arr_delay":null,"carrier":"AA","flight":133,"tailnum":null,"origin":"JFK","dest":"LAX","air_time":null,"distance":2475,"hour":15,"minute":45,"time_hour":"2013-01-02T20:00:00Z"}"#;

#[test]
fn every_table_has_a_contract_of_its_name() {
    for table in ["airlines", "airports", "flights", "planes", "weather"] {
        let contract = contract(table);
        assert_eq!(contract.document().dataset_id, table);
        assert!(contract.is_decomposable());
    }
}

#[test]
fn rows_of_the_data_are_valid() {
    for (table, row) in [
        ("airlines", r#"{"carrier":"9E","name":"Endeavor Air Inc."}"#),
        (
            "airports",
            r#"{"faa":"369","name":"Atmautluak Airport","lat":60.866667,"lon":-162.273056,"alt":18,"tz":-9,"dst":"A","tzone":"America/Anchorage"}"#,
        ),
        (
            "airports",
            r#"{"faa":"EEN","name":"Dillant Hopkins Airport","lat":72.270833,"lon":42.898333,"alt":149,"tz":-5,"dst":"A","tzone":null}"#,
        ),
        (
            "planes",
            r#"{"tailnum":"N10156","year":2004,"type":"Fixed wing multi engine","manufacturer":"EMBRAER","model":"EMB-145XR","engines":2,"seats":55,"speed":null,"engine":"Turbo-fan"}"#,
        ),
        (
            "weather",
            r#"{"origin":"EWR","year":2013,"month":2,"day":12,"hour":3,"temp":39.02,"dewp":26.96,"humid":61.63,"wind_dir":260,"wind_speed":1048.36058,"wind_gust":null,"precip":0,"pressure":1008.3,"visib":10,"time_hour":"2013-02-12T08:00:00Z"}"#,
        ),
        ("flights", FLIGHT),
    ] {
        assert_eq!(rules(&contract(table), row), [], "{table}");
    }
}

#[test]
fn a_flight_without_tail_number_is_not() {
    let flights = contract("flights");
    assert_eq!(rules(&flights, CANCELLED), [("/tailnum".to_owned(), "type".to_owned())]);
    // It still has a key and a time, so quarantine can name it.
    on_tape(CANCELLED, |record| {
        assert!(flights.entity_key(record, &mut Vec::new()).is_ok());
        assert_eq!(flights.event_time(record, i64::MAX).unwrap(), Some(1_357_156_800_000_000));
    });
}

#[test]
fn weather_is_about_the_airport_that_airports_lists() {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    on_tape(r#"{"origin":"JFK"}"#, |record| contract("weather").entity_key(record, &mut one).unwrap());
    on_tape(r#"{"faa":"JFK"}"#, |record| contract("airports").entity_key(record, &mut other).unwrap());
    assert_eq!(one, other);
    let entity = |table: &str| contract(table).document().mapping.entity.entity_type.clone();
    assert_eq!(entity("weather"), entity("airports"));
}
