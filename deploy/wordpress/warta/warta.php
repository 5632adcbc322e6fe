<?php
/**
 * Plugin Name:       Warta Pengadaan
 * Description:       Daftar paket pengadaan yang selalu baru: blok "Warta Pengadaan" dan shortcode [warta feed="semua" items="8"]. A live list of procurement packages, as a block and a shortcode.
 * Version:           1.0.0
 * Requires at least: 6.1
 * Requires PHP:      7.4
 * Author:            BLP Kota Malang and the Warta Pengadaan contributors
 * License:           MIT
 * Text Domain:       warta
 *
 * @package Warta
 */

defined( 'ABSPATH' ) || exit;

require_once __DIR__ . '/fetch.php';
require_once __DIR__ . '/render.php';
require_once __DIR__ . '/settings.php';

/** What a list is when nothing is said; also the attributes of the block (block.json). */
const WARTA_DEFAULTS = array(
	'feed'  => 'semua',
	'items' => 8,
	'title' => '',
	'cache' => 15,
	'lang'  => '',
);

add_action( 'init', 'warta_register' );
add_action( 'enqueue_block_editor_assets', 'warta_name_feeds' );

/** The block and the shortcode: two ways to the same list. */
function warta_register() {
	register_block_type( __DIR__, array( 'render_callback' => 'warta_render_block' ) );
	add_shortcode( 'warta', 'warta_render_shortcode' );
}

/** [warta feed="jenis-konstruksi" items="8" title="…" cache="15" lang="id"] */
function warta_render_shortcode( $attributes ) {
	wp_enqueue_style( 'warta-list-style' ); // registered with the block
	return '<div class="warta">' . warta_render( (array) $attributes ) . '</div>';
}

function warta_render_block( $attributes ) {
	$wrapper = get_block_wrapper_attributes( array( 'class' => 'warta' ) );
	return "<div $wrapper>" . warta_render( $attributes ) . '</div>';
}

/** The list in HTML, from attributes that somebody typed. */
function warta_render( array $attributes ) {
	$asked = warta_clean( $attributes );
	if ( '' === warta_base() ) {
		return current_user_can( 'edit_posts' ) ? '<p>' . esc_html( warta_admin( 'Isi dahulu alamat Warta di Pengaturan → Warta Pengadaan.', 'First fill in the address of your Warta under Settings → Warta Pengadaan.' ) ) . '</p>' : '';
	}
	$feed   = warta_fetch( "feeds/{$asked['feed']}.json", $asked['cache'] );
	$status = warta_fetch( 'status.json', $asked['cache'] );
	return warta_render_list( $asked, $feed, is_array( $status ) ? $status : array(), time() );
}

/** Attributes as they may be used: known ones only, each within its bounds. */
function warta_clean( array $attributes ) {
	$asked = array_merge( WARTA_DEFAULTS, array_intersect_key( $attributes, WARTA_DEFAULTS ) );
	$feed  = strtolower( is_scalar( $asked['feed'] ) ? (string) $asked['feed'] : '' );
	return array(
		'feed'  => preg_match( '/^[a-z0-9][a-z0-9-]{0,99}$/', $feed ) ? $feed : WARTA_DEFAULTS['feed'],
		'items' => min( max( (int) $asked['items'], 1 ), 50 ),
		'title' => sanitize_text_field( is_scalar( $asked['title'] ) ? (string) $asked['title'] : '' ),
		'cache' => min( max( (int) $asked['cache'], 5 ), 1440 ),
		'lang'  => in_array( $asked['lang'], array( 'id', 'en' ), true ) ? $asked['lang'] : '',
	);
}

/** Tells the editor which feeds there are, so that nobody has to type an id. */
function warta_name_feeds() {
	$feeds = array();
	foreach ( warta_feeds() as $feed ) {
		$feeds[] = array(
			'value' => $feed['id'],
			'label' => $feed['title'],
		);
	}
	$told = array(
		'feeds'   => $feeds,
		'english' => ! warta_is_indonesian_admin(),
	);
	$json = wp_json_encode( $told, JSON_HEX_TAG | JSON_HEX_AMP ); // "<!--<script" in a title would swallow the end of the script
	wp_add_inline_script( 'warta-list-editor-script', "window.wartaList = $json;", 'before' );
}
